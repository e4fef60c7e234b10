"""One slice of a volume, taken before the peaks are sought in it (paper 3.7)."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weakspot.detection.peaks import Candidates, candidates
from weakspot.errors import InputError
from weakspot.slices import slice_index


def take_slice(volume: NDArray[Any], axis: int, index: float | None = None) -> NDArray[Any]:
    """Return the slice ``index`` along ``axis``, without that axis; the middle one where none is given.

    The middle of n slices is n // 2, counted from 0. Peaks sought in the slice suppress each other in it
    alone, as where only this slice was annotated.

    Parameters
    ----------
    volume : (*spatial)
    axis : the axis to go; may be negative
    index : a whole number, counted from 0; None or NaN for the middle slice

    Raises
    ------
    InputError
        The volume has no such axis or slice.

    Examples
    --------
    >>> take_slice(np.arange(6).reshape(3, 2), axis=0)
    array([2, 3])
    """
    if not -volume.ndim <= axis < volume.ndim:
        raise InputError(f"slice axis {axis}: the map has {volume.ndim} axes")
    chosen = slice_index(math.nan if index is None else index, volume.shape[axis])
    return np.asarray(np.take(volume, chosen, axis))


def candidates_in(
    attention: NDArray[Any],
    place: tuple[int, float] | None = None,
    spacing_mm: ArrayLike | None = None,
    **detection: Any,
) -> Candidates:
    """Find the candidates of a map, or of one slice of it, with all coordinates.

    Parameters
    ----------
    attention : (*spatial)
    place : axis and index of the slice, as for `take_slice`; the index may be NaN for the middle one
    spacing_mm : (dims,) size of a voxel
    **detection : as for `weakspot.detection.candidates`; a mass is of what was searched

    Raises
    ------
    InputError
        As `take_slice` and `weakspot.detection.candidates`, and for a spacing of other axes than the map's.

    Examples
    --------
    >>> candidates_in(np.array([[0, 9, 0], [0, 0, 4]]), (0, 1)).points
    array([[1., 2.]])
    """
    if place is None:
        return candidates(attention, spacing_mm=spacing_mm, **detection)
    axis, index = place
    flat = take_slice(attention, axis, index)
    if spacing_mm is not None and np.size(spacing_mm) != attention.ndim:
        raise InputError(f"a spacing of {spacing_mm} mm: the map has {attention.ndim} axes")
    across = None if spacing_mm is None else np.delete(np.asarray(spacing_mm, float), axis)
    found = candidates(flat, spacing_mm=across, **detection)
    points = np.insert(found.points, axis % attention.ndim, slice_index(index, attention.shape[axis]), axis=1)
    return replace(found, points=points)
