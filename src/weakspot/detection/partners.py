"""How far detections lie off on average, told by those in mirrored images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Places = NDArray[np.float64]
_ENOUGH = 2 / 3  # of the detections: where fewer have a partner, they are of other things
_STEPS = 100


def half_offset(
    pairs: Sequence[tuple[Places, Places]], start_vox: Sequence[float], reach_vox: float
) -> tuple[float, ...] | None:
    """Return half of the mean offset between the detections of images and those of their mirrored copies.

    Partners are nearest to each other in both directions, and within reach, once both sides are moved back by what is
    known so far; the mean offset of partners tells more, until nothing changes (iterative closest points, Besl and
    McKay 1992, of translations alone). Each detection may lie off by more or less, as on objects of different sizes.
    Where objects lie close, it has to begin within a quarter of the distance between them, or others are its partners.

    Parameters
    ----------
    pairs : of each image, points (n, dims) in it, and in its mirrored copy, mirrored back
    start_vox : (dims,) where to begin
    reach_vox : how far apart partners may be

    Returns
    -------
    tuple of float or None
        (dims,), in voxels. None where less than two thirds of the detections have a partner, or nothing was detected.

    Examples
    --------
    >>> places = np.array([[10, 10], [30, 12], [20.0, 40]])
    >>> half_offset([(places + [2, -1], places - [2, -1])], (0, 0), 12)
    (2.0, -1.0)
    """
    found = [(np.asarray(one, float), np.asarray(other, float)) for one, other in pairs if len(one) and len(other)]
    offset = np.asarray(start_vox, float)
    partners = 0
    for _ in range(_STEPS):
        apart = [_offsets(one - offset, other + offset, reach_vox) for one, other in found]
        partners = sum(map(len, apart))
        if not partners:
            return None
        step = np.concatenate(apart).mean(axis=0) / 2
        offset = offset + step
        if np.abs(step).max() < 1e-3:
            break
    detections = sum(len(side) for pair in pairs for side in pair)
    return tuple(offset.tolist()) if 2 * partners >= _ENOUGH * detections else None


def _offsets(one: Places, other: Places, reach: float) -> Places:
    """Return the offsets (partners, dims) from the second to the first of partners."""
    distance, nearest = map(np.asarray, KDTree(other).query(one))
    back = np.asarray(KDTree(one).query(other)[1])
    partners = (back[nearest] == np.arange(len(one))) & (distance <= reach)
    return np.asarray(one[partners] - other[nearest[partners]])
