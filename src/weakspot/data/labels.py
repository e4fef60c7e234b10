"""A segmentation's labels: brought to a scan's grid, and the structures in them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from weakspot.errors import InputError
from weakspot.geometry import FloatArray, carried, corners, largest_distance_mm, shifted, spacing_of

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]
Slices = NDArray[np.int64]


def on_grid_of(
    labels: Labels, labels_affine: FloatArray, shape: tuple[int, ...], affine: FloatArray
) -> tuple[Labels, Slices]:
    """Resample labels to another grid through the affines, each voxel taking the label nearest to its centre.

    What lies beyond the other image is kept: only with it can be told what the image's field of view leaves out. Grids
    that differ by less than a hundredth of a voxel are the same.

    Returns
    -------
    labels, origin
        In the box of the other grid that holds them all, and (3,) the other image's index of its first voxel.

    Raises
    ------
    InputError
        No label lies in the other image.
    """
    close = 0.01 * spacing_of(affine).min()
    if labels.shape == shape and largest_distance_mm(labels_affine, affine, shape) <= close:
        return labels, np.zeros(3, np.int64)
    if not labels.any():
        return np.zeros(shape, np.int32), np.zeros(3, np.int64)
    (box,) = ndimage.find_objects((labels != 0).astype(np.int8))
    first = np.array([each.start for each in box])
    # From edge to edge: the voxels at the corners are whole.
    edges = first - 0.5 + corners([each.stop - each.start + 1 for each in box])
    places = carried(edges, labels_affine, affine)
    origin = np.floor(places.min(axis=0)).astype(np.int64)
    size = np.ceil(places.max(axis=0)).astype(np.int64) - origin + 1
    back = np.asarray(np.linalg.solve(labels_affine, shifted(affine, origin)), float)
    moved = _nearest(labels, back, size)
    inside = tuple(slice(max(-low, 0), max(length - low, 0)) for low, length in zip(origin, shape, strict=True))
    if not moved[inside].any():
        raise InputError("the segmentation lies outside of the scan: they are not of one scan, or were moved since")
    return moved, origin


def _nearest(labels: Labels, back: FloatArray, size: Slices) -> Labels:
    """Return (size) the labels nearest to the voxels that ``back`` leads to them from; 0 beyond them."""
    along = np.abs(back[:3, :3]).argmax(axis=1)  # the other grid's axis for each of the labels'
    aside = np.abs(back[:3, :3])
    aside[range(3), along] = 0
    padded, first = np.pad(labels, 1), back[:3, 3] + 1
    if len(set(along)) < 3 or (aside @ size).max() >= 0.01:
        turned: Labels = ndimage.affine_transform(padded, back[:3, :3], first, tuple(size), order=0, cval=0)
        return turned
    # Grids that are not oblique to each other need no search for every voxel, only for every slice.
    places = [
        np.floor(back[axis, other] * np.arange(size[other]) + first[axis] + 0.5).clip(0, padded.shape[axis] - 1)
        for axis, other in enumerate(along)
    ]
    return padded[np.ix_(*(each.astype(int) for each in places))].transpose(np.argsort(along))


def having(labels: NDArray[np.integer], wanted: Sequence[int], what: str) -> Mask:
    """Return where labels are one of ``wanted``; an ``InputError`` that lists those that are there if nowhere."""
    mask: Mask = np.isin(labels, wanted)
    if not mask.any():
        present = np.unique(labels)
        listed = ", ".join(map(str, present[:60])) + (" ..." if len(present) > 60 else "")
        raise InputError(
            f"no voxel of {what} (labels {', '.join(map(str, wanted))}); the segmentation has the labels {listed}: "
            "expected those of FreeSurfer or SynthSeg"
        )
    return mask


def largest_part(mask: Mask) -> Mask:
    """Return the largest connected part of a mask that is not empty."""
    box = ndimage.find_objects(mask.astype(np.int8))[0]
    parts, number = ndimage.label(mask[box])
    if number < 2:
        return mask
    largest = np.zeros_like(mask)
    largest[box] = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    return largest


def top_of(mask: Mask, up: int, sense: int, slices: Slices) -> int:
    """Return the uppermost slice that the mask has a voxel in; ``slices`` are the indices across the axis ``up``."""
    found = slices[mask.any(axis=tuple(axis for axis in range(3) if axis != up))]
    return int(found.max() if sense > 0 else found.min())


def across(values: NDArray[np.int64], up: int) -> NDArray[np.int64]:
    """Return a value for each slice across the axis ``up``, to be broadcast to voxels."""
    along = [1, 1, 1]
    along[up] = -1
    return values.reshape(along)
