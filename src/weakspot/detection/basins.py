"""Basins of peaks: how much of a map each peak stands for."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def ascend(positive: NDArray[Any], summits: NDArray[Any]) -> NDArray[Any]:
    """Return the summit that each positive voxel leads to, by its number; 0 where the map is zero.

    Steepest ascent, the highest of the neighbours again and again, leads every positive voxel to a local
    maximum, as water runs in the "rain falling" watershed; nothing is quantised. On level ground below a
    maximum (a terrace) the way leads to where it first rises.

    Parameters
    ----------
    positive : (*spatial)
        The map without negative values.
    summits : (*spatial) int
        Numbers the local maxima: connected equal voxels that no neighbour of theirs exceeds; 0 elsewhere.

    Returns
    -------
    (*spatial) int
    """
    # A border of zeros keeps flat neighbour indices inside the array, and nothing climbs to it.
    heights, padded = np.pad(positive, 1), np.pad(summits, 1)
    uphill = _highest(heights, [3] * heights.ndim)
    flat_heights, flat_summits = heights.ravel(), padded.ravel()

    # Voxels that nothing near exceeds, and that are still no summit: the inside of terraces.
    level = (uphill == np.arange(len(uphill))) & (flat_heights > 0) & (flat_summits == 0)
    _cross(level, flat_heights, uphill, heights.shape)

    uphill = _to_the_end(uphill)
    return np.asarray(flat_summits[uphill].reshape(heights.shape)[(slice(1, -1),) * heights.ndim])


def basin_sums(
    positive: NDArray[Any], summits: NDArray[Any], peaks: NDArray[np.intp], window: Sequence[int]
) -> NDArray[np.float64]:
    """Return the sum of the map over the basin of each peak.

    The basin of a summit is what ascends to it (`ascend`). From a summit that is no peak, because a voxel within
    its window is higher, the ascent goes on from the highest voxel of that window. So the basins part the positive
    voxels among the peaks, and the sums add up to the sum of the map.

    Parameters
    ----------
    positive, summits : as for `ascend`
    peaks : (n, dims) int
        The voxel that stands for each peak.
    window : (dims,) int
        Size of the maximum filter.

    Returns
    -------
    (n,)
    """
    reached, numbers = ascend(positive, summits).ravel(), summits.ravel()
    of_peaks = summits[tuple(peaks.T)]
    on_top = np.flatnonzero(numbers)
    first = np.zeros(numbers.max() + 1, np.intp)  # voxel of each summit
    first[numbers[on_top[::-1]]] = on_top[::-1]
    onward = np.arange(len(first))
    suppressed = np.setdiff1d(onward[1:], of_peaks)
    onward[suppressed] = reached[_highest(positive, window)[first[suppressed]]]
    return np.asarray(np.bincount(_to_the_end(onward)[reached], positive.ravel(), len(first))[of_peaks], float)


def _to_the_end(onward: NDArray[np.intp]) -> NDArray[np.intp]:
    """Follow each index to where it ends, which leads to itself."""
    while not np.array_equal(further := onward[onward], onward):
        onward = further
    return onward


def _highest(heights: NDArray[Any], window: Sequence[int]) -> NDArray[np.intp]:
    """Return the flat index of the highest voxel within each voxel's window: itself, unless another is higher.

    A window of n reaches from n // 2 voxels before to (n - 1) // 2 behind, as in
    `scipy.ndimage.maximum_filter`. The search runs along one axis after the other.
    """
    best = heights.copy()
    index = np.arange(heights.size).reshape(heights.shape)
    for axis, size in enumerate(window):
        values, places = np.moveaxis(best, axis, 0), np.moveaxis(index, axis, 0)
        old_values, old_places = values.copy(), places.copy()
        for step in range(-(size // 2), (size - 1) // 2 + 1):
            here = slice(max(-step, 0), max(len(values) - max(step, 0), 0))
            there = slice(max(step, 0), max(len(values) + min(step, 0), 0))
            higher = old_values[there] > values[here]
            np.copyto(values[here], old_values[there], where=higher)
            np.copyto(places[here], old_places[there], where=higher)
    return index.ravel()


def _cross(level: NDArray[np.bool_], heights: NDArray[Any], uphill: NDArray[np.intp], shape: Sequence[int]) -> None:
    """Point level voxels to the nearest equal voxel from which the way goes up, layer by layer; in place."""
    if not level.any():
        return
    level = level.copy()
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    steps = [int(np.dot(step, strides)) for step in itertools.product((-1, 0, 1), repeat=len(shape))]
    front = np.flatnonzero((heights > 0) & ~level)
    while len(front):
        layer = []
        for step in steps:
            reached = front + step
            here = level[reached] & (heights[reached] == heights[front])
            uphill[reached[here]] = front[here]
            level[reached[here]] = False
            layer.append(reached[here])
        front = np.concatenate(layer)
