"""The four regions in a label map, and the slice that is annotated (paper 3.2)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from weakspot.data.labels import having, largest_part
from weakspot.data.regions import (
    ABOVE_VENTRICLES_MM,
    BRAIN_STEM,
    MIDBRAIN,
    MIDBRAIN_BELOW_TOP_MM,
    REGIONS,
    VENTRICLES,
)
from weakspot.errors import InputError

FloatArray = NDArray[np.float64]

PALLIDUM = (13, 52)
SLAB_MM = 7.0  # of centrum semiovale, to both sides of the annotated slice
COMMISSURE_MM = 2.0  # the anterior commissure below the pallidum's mean height (MNI152: z = -4 and -2)
BORDER_MM = 10.0  # how far around the region its border is looked for


@dataclass(frozen=True, eq=False)
class Zone:
    """A region of one subject, cut out of its label map.

    Attributes
    ----------
    name : str
    mask : (i, j, k) bool
    affine : (4, 4)
        Of the mask.
    inner_mm : (i, j, k)
        Distance to other tissue; 0 outside of the region. Where a region ends by rule (the midbrain's top, the slab
        of centrum semiovale), there is no border.
    up : (3,)
        Unit vector normal to the slices, upwards.
    slice_mm : float or None
        Height along ``up`` of the annotated slice.
    """

    name: str
    mask: NDArray[np.bool_]
    affine: FloatArray
    inner_mm: FloatArray
    up: FloatArray
    slice_mm: float | None

    def world(self, indices: FloatArray | NDArray[np.int64]) -> FloatArray:
        """Return (n, 3) voxel indices in world mm."""
        return np.asarray(indices @ self.affine[:3, :3].T + self.affine[:3, 3])

    def holds(self, points: FloatArray) -> NDArray[np.bool_]:
        """Return (n,) whether points in world mm lie in the region."""
        indices = np.rint(np.linalg.solve(self.affine[:3, :3], (points - self.affine[:3, 3]).T).T).astype(int)
        inside = ((indices >= 0) & (indices < self.mask.shape)).all(1)
        found = np.zeros(len(points), bool)
        found[inside] = self.mask[tuple(indices[inside].T)]
        return found


def find_zone(name: str, labels: NDArray[np.int16], affine: FloatArray, up: FloatArray) -> Zone:
    """Find a region.

    Midbrain is label 173 or, without it, the brain stem from 4 to 13 mm below its top; centrum semiovale the white
    matter within 7 mm of the slice 10 mm above the lateral ventricles; the slice of the basal ganglia, that of the
    anterior commissure, is 2 mm below the mean height of the pallidum. Tops are those of each structure's largest part.

    Parameters
    ----------
    name
        One of ``REGIONS``.
    labels, affine
        A subject's label map.
    up
        (3,) unit vector normal to the slices, upwards.

    Raises
    ------
    InputError
        The label map lacks what the region is found by.
    """
    heights = _heights(labels.shape, affine, up)
    slice_mm = None
    if name == "midbrain" and not (labels == MIDBRAIN).any():
        tissue = largest_part(having(labels, (BRAIN_STEM,), f"midbrain (label {MIDBRAIN}), nor of the brain stem"))
        below = heights[tissue].max() - heights
        mask = tissue & (below >= MIDBRAIN_BELOW_TOP_MM[0]) & (below <= MIDBRAIN_BELOW_TOP_MM[1])
    else:
        mask = tissue = having(labels, REGIONS[name].labels, name)
    if name == "basal_ganglia":
        slice_mm = float(heights[having(labels, PALLIDUM, "pallidum")].mean() - COMMISSURE_MM)
    elif name == "centrum_semiovale":
        having(labels, VENTRICLES, "the lateral ventricles")
        parts = [largest_part(labels == each) for each in VENTRICLES if (labels == each).any()]
        slice_mm = float(max(heights[part].max() for part in parts) + ABOVE_VENTRICLES_MM)
        mask = tissue & (np.abs(heights - slice_mm) <= SLAB_MM)
    if not mask.any():
        raise InputError(f"the segmentation has no {name.replace('_', ' ')}: nothing lies where it should be")
    places = np.argwhere(mask)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    reach = np.ceil(BORDER_MM / spacing).astype(int)
    low = np.maximum(places.min(0) - reach, 0)
    box = tuple(slice(a, b) for a, b in zip(low, places.max(0) + reach + 1, strict=True))
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ low
    inner = np.where(mask[box], ndimage.distance_transform_edt(np.pad(tissue[box], 1), spacing)[1:-1, 1:-1, 1:-1], 0)
    return Zone(name, mask[box], moved, inner, up, slice_mm)


def _heights(shape: tuple[int, ...], affine: FloatArray, up: FloatArray) -> FloatArray:
    """Return the height along ``up`` of every voxel, in mm."""
    parts = [np.arange(n) * step for n, step in zip(shape, up @ affine[:3, :3], strict=True)]
    return np.asarray(parts[0][:, None, None] + parts[1][:, None] + parts[2] + up @ affine[:3, 3])
