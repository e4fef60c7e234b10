"""Voxel indices and world coordinates: affine maps, in any number of dimensions.

An affine (dims + 1, dims + 1) takes the index of a voxel's centre to the world, in mm, RAS+ (x to the right, y to the
front, z upwards) as NIfTI has it.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def to_world(points: ArrayLike, affine: ArrayLike) -> FloatArray:
    """Return the world coordinates (..., dims) in mm of voxel indices (..., dims).

    >>> to_world([[1, 2, 3]], np.diag([0.5, 0.5, 2, 1])).tolist()
    [[0.5, 1.0, 6.0]]
    """
    affine = np.asarray(affine, float)
    world: FloatArray = np.asarray(points, float) @ affine[:-1, :-1].T + affine[:-1, -1]
    return world


def to_voxel(points: ArrayLike, affine: ArrayLike) -> FloatArray:
    """Return the voxel indices (..., dims) of world coordinates (..., dims) in mm; the inverse of `to_world`."""
    affine = np.asarray(affine, float)
    moved = np.asarray(points, float) - affine[:-1, -1]
    return np.linalg.solve(affine[:-1, :-1], moved[..., None])[..., 0]


def carried(points: ArrayLike, affine: ArrayLike, other: ArrayLike) -> FloatArray:
    """Return the voxel indices in the image of affine ``other`` of those in the image of ``affine``."""
    return to_voxel(to_world(points, affine), other)


def spacing_of(affine: ArrayLike) -> FloatArray:
    """Return (dims,) the distance in mm between neighbouring voxels along each axis."""
    spacing: FloatArray = np.linalg.norm(np.asarray(affine, float)[:-1, :-1], axis=0)
    return spacing


def shifted(affine: ArrayLike, start: ArrayLike) -> FloatArray:
    """Return the affine of a crop whose first voxel is the voxel ``start`` (dims,) of the image."""
    result = np.array(affine, float)
    result[:-1, -1] = to_world(start, result)
    return result


def corners(shape: Sequence[int]) -> FloatArray:
    """Return (2^dims, dims) the indices of an image's corner voxels."""
    return np.array(list(itertools.product(*((0, size - 1) for size in shape))), float)


def largest_distance_mm(affine: ArrayLike, other: ArrayLike, shape: Sequence[int]) -> float:
    """Return how far apart two affines put a voxel of an image of ``shape``, at the most, in mm."""
    places = corners(shape)
    return float(np.linalg.norm(to_world(places, affine) - to_world(places, other), axis=1).max())
