"""Which detections may count for which objects: within a radius, or inside the object."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakspot.errors import InputError
from weakspot.evaluation.conventions import Conventions
from weakspot.evaluation.scene import Detections, FloatArray, IntArray, Truth

# Coordinates times spacing are not exact: 3 voxels of 0.1 mm are 0.30000000000000004 mm apart, and within 0.3
# mm.
ROUNDING = 1 + 1e-9
PAIRS_AT_ONCE = 2_000_000  # bounds the memory at some hundred MB


@dataclass(frozen=True, eq=False)
class Links:
    """The pairs within reach of each other, in the order of the detections.

    Attributes
    ----------
    detection, object : (n,) indices
    distance : (n,) in mm for a radius in mm, else in voxels
    """

    detection: IntArray
    object: IntArray
    distance: FloatArray


def measure(
    detections: Detections, truth: Truth, which: IntArray, objects: IntArray, conventions: Conventions
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the distance of each pair and whether it is within reach.

    A box holds the points from its lower border up to, but not including, its upper one. So boxes side by
    side share no point, and the cell of 28 voxels with its centre at 13.5 holds the voxels 0 to 27.

    Parameters
    ----------
    which, objects : index arrays that broadcast to one shape
        Which detections are compared with which objects, always of the same image.

    Returns
    -------
    two arrays of that shape
        The distance is Euclidean, in mm for a radius in mm, else in voxels.

    Raises
    ------
    InputError
        For a radius in mm without spacing, or "inside" without extents.
    """
    spacing_mm, extents = _needed(truth, conventions.reach)
    shape = np.broadcast_shapes(which.shape, objects.shape)
    if 0 in shape:  # without a single point, there may be no dimensions either
        return np.zeros(shape), np.zeros(shape, bool)
    difference = detections.points[which] - truth.points[objects]
    if spacing_mm is not None:
        difference = difference * spacing_mm[truth.image[objects]]
    distance = np.asarray(np.sqrt((difference**2).sum(-1)))
    if extents is not None:
        half = extents[objects] / 2
        inside = np.all((difference >= -half) & (difference < half), axis=-1)
        return distance, np.asarray(inside)
    if conventions.matching == "paper":
        return distance, distance < conventions.radius
    return distance, distance <= conventions.radius * ROUNDING


def _needed(truth: Truth, reach: str) -> tuple[FloatArray | None, FloatArray | None]:
    """Return the spacing for a radius in mm and the extents for "inside", or refuse a truth without them."""
    if reach == "radius_mm" and truth.spacing_mm is None:
        raise InputError("a radius in mm needs the spacing of the images: give it, or a radius in voxels")
    if reach == "inside" and truth.extents is None:
        raise InputError("the objects lack extents (height, width) for a hit to be inside of: give them, or a radius")
    return truth.spacing_mm if reach == "radius_mm" else None, truth.extents if reach == "inside" else None


def links(detections: Detections, truth: Truth, conventions: Conventions) -> Links:
    """Return all pairs within reach, image by image, without a matrix over all."""
    objects = truth.counts[detections.image]
    first = np.searchsorted(truth.image, detections.image)
    found = []
    for start, stop in _chunks(objects):
        number = objects[start:stop]
        which = np.repeat(np.arange(start, stop), number)
        # The objects of a detection's image are first, first + 1, ...
        begins = np.repeat(np.cumsum(number) - number - first[start:stop], number)
        each = np.arange(len(which)) - begins
        distance, within = measure(detections, truth, which, each, conventions)
        found.append((which[within], each[within], distance[within]))
    which, each, distance = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Links(which, each, distance)


def _chunks(objects: IntArray) -> list[tuple[int, int]]:
    """Cut the detections where about `PAIRS_AT_ONCE` pairs are together; at least one chunk."""
    edges = np.searchsorted(np.cumsum(objects), np.arange(PAIRS_AT_ONCE, objects.sum(), PAIRS_AT_ONCE))
    borders = np.unique([0, *edges, len(objects)]).tolist()
    return list(itertools.pairwise(borders)) or [(0, 0)]
