"""Prominence of peaks: how far one has to descend from each before a higher one can be climbed."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakspot.detection.basins import ascend


def prominences(positive: NDArray[Any], summits: NDArray[Any], peaks: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the height of each peak above the highest saddle from which a higher summit can be climbed.

    As in topography: of all ways from the peak to a higher summit, through neighbours (8 in 2D, 26 in 3D), the one
    whose lowest voxel is highest; its lowest voxel is the saddle. Where every way crosses zero, the prominence is the
    height. Of equally high summits the one of lower number counts as higher.

    A way within a basin (`weakspot.detection.basins.ascend`) can always be replaced by an ascent, so saddles lie
    where basins touch; basins are joined there, from the highest saddle down, and where two are joined, the lower
    summit has found its saddle.

    Parameters
    ----------
    positive, summits : as for `weakspot.detection.basins.ascend`
    peaks : (n, dims) int
        The voxel that stands for each peak.

    Returns
    -------
    (n,)
    """
    number = int(summits.max())
    heights, top = np.zeros(number + 1), summits > 0
    heights[summits[top]] = positive[top]
    order = np.argsort(-heights, kind="stable")
    rank = np.argsort(order)  # 0 is the highest
    found = heights[order].tolist()
    highest = list(range(number + 1))  # way to the highest summit of what has been joined, by rank

    def joined(summit: int) -> int:
        while highest[summit] != summit:
            highest[summit] = summit = highest[highest[summit]]
        return summit

    one, other, saddles = _saddles(positive, ascend(positive, summits))
    for a, b, saddle in zip(rank[one].tolist(), rank[other].tolist(), saddles.tolist(), strict=True):
        higher, lower = sorted((joined(a), joined(b)))
        if lower != higher:
            found[lower] -= saddle
            highest[lower] = higher
    return np.asarray(np.array(found)[rank[summits[tuple(peaks.T)]]])


def _saddles(
    positive: NDArray[Any], basins: NDArray[Any]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return pairs of basins that touch, and the highest voxel pair's lower value between each, the highest first."""
    number = int(basins.max()) + 1
    pair, value = np.zeros(0, np.intp), np.zeros(0)
    steps = list(itertools.product((-1, 0, 1), repeat=basins.ndim))
    for step in steps[len(steps) // 2 + 1 :]:  # each direction once
        here = tuple(slice(max(-each, 0), size - max(each, 0)) for each, size in zip(step, basins.shape, strict=True))
        there = tuple(slice(max(each, 0), size - max(-each, 0)) for each, size in zip(step, basins.shape, strict=True))
        one, other = basins[here], basins[there]
        touch = np.nonzero((one != other) & (one > 0) & (other > 0))
        one, other = one[touch].astype(np.intp), other[touch].astype(np.intp)
        saddles = np.minimum(positive[here][touch], positive[there][touch])
        pair = np.concatenate([pair, np.minimum(one, other) * number + np.maximum(one, other)])
        value = np.concatenate([value, saddles])
        order = np.argsort(pair, kind="stable")
        first = np.flatnonzero(np.diff(pair[order], prepend=-1))
        pair, value = pair[order[first]], np.maximum.reduceat(value[order], first) if len(first) else value
    order = np.argsort(-value, kind="stable")
    return pair[order] // number, pair[order] % number, value[order]
