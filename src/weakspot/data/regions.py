"""Brain regions: from a scan and FreeSurfer's or SynthSeg's labels to volumes of one size (paper 3.4).

Nothing is resampled but the labels: a region volume is cut from the scan's own grid, whatever its orientation, and its
affine is the scan's, moved by whole voxels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from weakspot.data.labels import Labels, Mask, Slices, across, having, largest_part, top_of
from weakspot.errors import InputError
from weakspot.geometry import FloatArray, shifted, spacing_of

MIDBRAIN, BRAIN_STEM, VENTRICLES, WHITE_MATTER = 173, 16, (4, 43), (2, 41, 77)
# Where only the whole brain stem is labelled: its part that lies so far below its top, in mm.
MIDBRAIN_BELOW_TOP_MM = (4.0, 13.0)
# The scored slice is so far above the ventricles' top; the "10 cm" of section 3.2 are no human brain's.
ABOVE_VENTRICLES_MM = 10.0
SMOOTH_MM = 1.0
TISSUES = 4.0  # of the region's median intensity: the highest voxel of our T2-weighted phantoms is at most 4.3 of it


@dataclass(frozen=True)
class Region:
    """A region as the paper cuts it out.

    Attributes
    ----------
    labels : tuple of int
        What it is made of.
    size_vox : (3,)
        The paper's volume, left-right by back-front by down-up, of voxels of about 0.49 x 0.49 x 0.8 mm.
    """

    labels: tuple[int, ...]
    size_vox: tuple[int, int, int]


REGIONS = {
    "midbrain": Region((MIDBRAIN,), (88, 88, 11)),
    "hippocampi": Region((17, 53), (168, 128, 84)),
    "basal_ganglia": Region((11, 50, 12, 51, 13, 52, 26, 58), (168, 128, 84)),  # caudate, putamen, pallidum, accumbens
    "centrum_semiovale": Region(WHITE_MATTER, (250, 290, 14)),
}


@dataclass(frozen=True)
class RegionSettings:
    """How regions are cut out.

    Attributes
    ----------
    size : (3,) or None
        Of the volume, left-right by back-front by down-up; the paper's unless given.
    size_in_mm : bool
        Whether ``size`` is in mm, and not in voxels.
    smooth_mm : float
        Standard deviation of the Gaussian that smooths the mask; 0 for a mask with hard edges.
    scale : "highest" or "tissue"
        What becomes 1: "highest", the volume's highest intensity (the paper's), or "tissue", four times the median
        of the region, above which intensities are cut off. The highest voxel may be a vessel in one scan and a lesion
        in the next, and takes the tissue with it.

    Raises
    ------
    InputError
        For another scale.
    """

    size: tuple[float, float, float] | None = None
    size_in_mm: bool = False
    smooth_mm: float = SMOOTH_MM
    scale: str = "highest"

    def __post_init__(self) -> None:
        if self.scale not in ("highest", "tissue"):
            raise InputError(f"scale {self.scale!r}: expected highest or tissue")


@dataclass(frozen=True, eq=False)
class RegionVolume:
    """One region of one scan.

    Attributes
    ----------
    values : (i, j, k) float32
        Intensities in [0, 1]; 0 outside of the region.
    affine : (4, 4)
        Voxel index -> world, mm.
    start : (3,) int
        The scan's index of the first voxel; may be negative, where the volume leaves the scan and is 0.
    mask : bool
        The region on the whole scan.
    slice_axis : int
        The axis that goes up: the one across the slices that the paper speaks of.
    slice : int or None
        Along it, counted from 0 in the volume: the annotated slice; for the centrum semiovale the one 10 mm above the
        ventricles where none is given.
    in_scan, held : float
        The shares of the region that lie in the scan's field of view, and in the volume too.
    """

    values: NDArray[np.float32]
    affine: FloatArray
    start: NDArray[np.int64]
    mask: Mask
    slice_axis: int
    slice: int | None
    in_scan: float
    held: float


def anatomical_axes(affine: FloatArray) -> tuple[tuple[int, int], ...]:
    """Return, for left-right, back-front and down-up, the voxel axis nearest to it and its sense, 1 or -1."""
    from nibabel.orientations import io_orientation

    found = {int(world): (axis, int(sense)) for axis, (world, sense) in enumerate(io_orientation(affine))}
    return tuple(found[world] for world in range(3))


def extract(
    values: NDArray[np.float32],
    affine: FloatArray,
    labels: Labels,
    name: str,
    settings: RegionSettings = RegionSettings(),
    scored: int | None = None,
    origin: Sequence[int] | Slices = (0, 0, 0),
) -> RegionVolume:
    """Cut one region out of a scan (paper 3.4).

    The volume is centred on the region's centre of mass. Intensities are multiplied by the region's mask, smoothed,
    and then divided (after their smallest, if negative, was taken off) by what ``settings.scale`` names, so that they
    lie in [0, 1].

    midbrain
        Label 173, which FreeSurfer's substructures have; else the part of the brain stem (16) that lies 4 to 13 mm
        below its top, in whole slices.
    hippocampi, basal_ganglia
        Their labels.
    centrum_semiovale
        White matter (2, 41, and 77, its hypointensities) above the top of the lateral ventricles, in the slices of
        the volume, which lie around the one 10 mm above that top, or around ``scored``.

    Tops are looked for in the largest connected part of each structure, be it in the scan or beyond.

    Parameters
    ----------
    values, affine
        The scan, (i, j, k), and its (4, 4) affine.
    labels : (i, j, k)
        On the scan's grid, which they may exceed, see `weakspot.data.labels.on_grid_of`.
    name
        A key of ``REGIONS``.
    settings
        Size, smoothing and scale.
    scored
        The annotated slice of the scan, counted from 0 along the axis that goes up.
    origin : (3,)
        The scan's index of the labels' first voxel.

    Raises
    ------
    InputError
        The region is not among the labels (which are listed), or lies outside of the scan; it is constant, or half of
        it is 0 where its median is the scale; the volume holds nothing of it; the slice,
        given or not, is not in the scan or the volume, or has
        nothing of the region.
    """
    axes = anatomical_axes(affine)
    up, sense = axes[2]
    spacing = spacing_of(affine)
    size = _size(name, settings, axes, spacing)
    slices, there = origin[up] + np.arange(labels.shape[up]), f"the scan has the slices 0 to {values.shape[up] - 1}"
    if scored is not None and not 0 <= scored < values.shape[up]:
        raise InputError(f"slice {scored}: {there} along {'ijk'[up]}")
    if name == "centrum_semiovale":
        top = _top_of_ventricles(labels, up, sense, slices)
        if scored is None:
            scored = top + sense * round(ABOVE_VENTRICLES_MM / spacing[up])
            if not 0 <= scored < values.shape[up]:
                raise InputError(
                    f"the slice {ABOVE_VENTRICLES_MM:g} mm above the lateral ventricles (which end at slice {top}) "
                    f"would be {scored}, and {there} along {'ijk'[up]}: leave the scan out, or name the annotated slice"
                )
        whole = _above_ventricles(labels, up, sense, slices, top, scored, int(size[up]))
    elif name == "midbrain" and not (labels == MIDBRAIN).any():
        whole = _upper_brain_stem(labels, up, sense, slices, float(spacing[up]))
    else:
        whole = having(labels, REGIONS[name].labels, name)
    mask = window(whole, np.negative(origin), values.shape)
    if not mask.any():
        raise InputError(f"{name} lies outside of the scan's field of view")
    centre = np.array(ndimage.center_of_mass(mask))
    start = np.floor(centre - (size - 1) / 2 + 0.5).astype(np.int64)
    if name == "centrum_semiovale":
        assert scored is not None
        start[up] = scored - size[up] // 2
    if scored is not None and not 0 <= scored - start[up] < size[up]:
        raise InputError(f"slice {scored} is not in the volume, which has {start[up]} to {start[up] + size[up] - 1}")
    if scored is not None and not mask.take(scored, axis=up).any():
        above = f" above the lateral ventricles, which end at slice {top}" if name == "centrum_semiovale" else ""
        raise InputError(f"slice {scored} has no voxel of {name}{above}: are slices counted from 0, and from this end?")
    held = window(mask, start, size)
    if not held.any():
        raise InputError(f"the volume of {'x'.join(map(str, size))} holds no voxel of {name}: give a larger size")
    weights = _smoothed(mask, start, size, settings.smooth_mm / spacing)
    weights *= window(np.ones(values.shape, bool), start, size)
    volume = window(values, start, size) * np.float32(0.5)  # differences stay within float32; the scale is lost anyway
    inside = volume[weights > 0]
    if not inside.size or inside.min() == inside.max():
        raise InputError(f"every voxel of {name} has the same value: the scan is empty there")
    volume -= min(inside.min(), np.float32(0))
    if settings.scale == "tissue":
        tissue = np.median(volume[held])
        if tissue == 0:
            raise InputError(f"half of {name} or more is 0, so that its median is no scale: choose the scale highest")
        volume = np.minimum(volume / tissue / np.float32(TISSUES) * weights, np.float32(1))
    else:
        volume *= weights
        volume /= volume.max()
    return RegionVolume(
        np.ascontiguousarray(volume),
        shifted(affine, start),
        start,
        mask,
        up,
        None if scored is None else int(scored - start[up]),
        float(np.count_nonzero(mask) / np.count_nonzero(whole)),
        float(np.count_nonzero(held) / np.count_nonzero(whole)),
    )


def window(
    values: NDArray[Any], start: Sequence[int] | NDArray[Any], size: Sequence[int] | NDArray[Any]
) -> NDArray[Any]:
    """Return a copy of the box of ``size`` that begins at ``start``; 0 where it leaves the array."""
    result = np.zeros(tuple(map(int, size)), values.dtype)
    here, there = [], []
    for first, length, whole in zip(start, size, values.shape, strict=True):
        low, high = max(int(first), 0), min(int(first) + int(length), whole)
        here.append(slice(low, max(high, low)))
        there.append(slice(low - int(first), max(high, low) - int(first)))
    result[tuple(there)] = values[tuple(here)]
    return result


def _size(
    name: str, settings: RegionSettings, axes: Sequence[tuple[int, int]], spacing: FloatArray
) -> NDArray[np.int64]:
    """Return the volume's size in voxels along the scan's own axes."""
    size = np.empty(3, np.int64)
    for wanted, (axis, _) in zip(settings.size or REGIONS[name].size_vox, axes, strict=True):
        # At least the mm that were asked for, but for what float32 makes of a header's spacing.
        size[axis] = max(math.ceil(wanted / spacing[axis] - 1e-3) if settings.size_in_mm else round(wanted), 1)
    return size


def _upper_brain_stem(labels: Labels, up: int, sense: int, slices: Slices, spacing: float) -> Mask:
    stem = largest_part(having(labels, (BRAIN_STEM,), f"midbrain (label {MIDBRAIN}), nor of the brain stem"))
    below = spacing * across(sense * (top_of(stem, up, sense, slices) - slices), up)
    low, high = MIDBRAIN_BELOW_TOP_MM
    mask: Mask = stem & (below >= low) & (below <= high)
    if not mask.any():
        height = spacing + np.where(stem, below, 0).max()
        raise InputError(
            f"the brain stem ({BRAIN_STEM}) is {height:.3g} mm high, and no slice of it lies {low:g} to {high:g} mm "
            f"below its top, where the midbrain is: expected the whole brain stem, or label {MIDBRAIN}"
        )
    return mask


def _above_ventricles(
    labels: Labels, up: int, sense: int, slices: Slices, top: int, scored: int, thickness: int
) -> Mask:
    """Return the centrum semiovale within ``thickness`` slices around the scored one."""
    place = across(slices - (scored - thickness // 2), up)
    above = across(sense * (slices - top), up) > 0
    mask: Mask = having(labels, WHITE_MATTER, "white matter") & (place >= 0) & (place < thickness) & above
    if not mask.any():
        raise InputError(
            f"no white matter in the {thickness} slices around slice {scored}, above the lateral ventricles (which end "
            f"at slice {top}): the segmentation does not reach so far up, or the slice is another one's"
        )
    return mask


def _top_of_ventricles(labels: Labels, up: int, sense: int, slices: Slices) -> int:
    having(labels, VENTRICLES, "the lateral ventricles")
    tops = [top_of(largest_part(labels == each), up, sense, slices) for each in VENTRICLES if (labels == each).any()]
    return max(tops) if sense > 0 else min(tops)


def _smoothed(mask: Mask, start: NDArray[np.int64], size: NDArray[np.int64], sigma: FloatArray) -> NDArray[np.float32]:
    """Return the smoothed mask in the volume, as if smoothed on the whole scan; 0 to 1."""
    margin = np.ceil(3 * sigma).astype(np.int64)
    weights = window(mask, start - margin, size + 2 * margin).astype(np.float32)
    if sigma.any():
        weights = ndimage.gaussian_filter(weights, sigma, truncate=3, mode="constant")
    inner = tuple(slice(int(each), int(each) + int(length)) for each, length in zip(margin, size, strict=True))
    result: NDArray[np.float32] = weights[inner]
    return result
