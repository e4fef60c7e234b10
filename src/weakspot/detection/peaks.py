"""Candidates: the local maxima of an attention map (paper 3.6, 3.7), in any number of dimensions."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from weakspot.errors import InputError

SIZE_VOX = 6  # of the maximum filter (section 3.7)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates of one image, the best first.

    Attributes
    ----------
    points : (n, dims) float64
        Voxel indices.
    scores : (n,) float64
        Positive; the higher, the surer.
    """

    points: NDArray[np.float64]
    scores: NDArray[np.float64]


def candidates(
    attention: NDArray[Any],
    size: float | Sequence[float] = SIZE_VOX,
    spacing_mm: Sequence[float] | None = None,
    score: str = "height",
) -> Candidates:
    """Find the local maxima of a map.

    Negative values count as zero. A voxel is a maximum if none in the box around it is higher (a maximum filter with
    full neighbourhood); a box of even size n reaches n/2 voxels towards lower and n/2 - 1 towards higher indices, as
    scipy has it. A plateau gives one candidate, its voxel nearest to its centroid; maxima at the border are kept; a
    constant map has none. Equal scores are ordered by index.

    Parameters
    ----------
    attention : (*spatial)
        A raw, signed map.
    size : of the box, along every axis or along each
        In voxels; in mm if ``spacing_mm`` is given, rounded to whole voxels, at least one.
    spacing_mm : (dims,) size of a voxel
    score : "height" or "mass"
        The map's value at the peak (the paper's), or the sum of its positive values over the peak's basin divided by
        the number of voxels of the map. The mean of a class activation map being the predicted count, but for the
        bias, a basin's mass is the number of objects that it stands for. The basin of a peak is all from where steepest
        ascent leads to it; that of a maximum which a higher peak suppresses goes to that peak.

    Raises
    ------
    InputError
        For values that are not finite, or a size or score that is none.
    """
    attention = np.asarray(attention)
    if not np.isfinite(attention).all():
        raise InputError(f"{np.count_nonzero(~np.isfinite(attention))} values of the attention map are NaN or infinite")
    if score not in ("height", "mass"):
        raise InputError(f"score {score!r}: choose height or mass")
    window = _window(size, spacing_mm, attention.ndim)
    positive = np.maximum(attention, 0).astype(np.float64)
    if positive.size == 0 or positive.max() == positive.min():
        return Candidates(np.zeros((0, attention.ndim)), np.zeros(0))
    maxima = (positive > 0) & (positive == ndimage.maximum_filter(positive, size=window, mode="nearest"))
    plateaus, number = ndimage.label(maxima, structure=np.ones([3] * attention.ndim))
    places = _representatives(plateaus, number)
    scores = positive[tuple(places.T)] if score == "height" else _masses(positive, plateaus, number, window)
    order = np.lexsort((*places.T[::-1], -scores))
    return Candidates(places[order].astype(np.float64), scores[order])


def _window(size: float | Sequence[float], spacing_mm: Sequence[float] | None, dims: int) -> tuple[int, ...]:
    """Return the filter's size in voxels along each axis."""
    sizes = np.broadcast_to(np.asarray(size, float), dims)
    if spacing_mm is not None:
        sizes = np.maximum(np.rint(sizes / np.broadcast_to(np.asarray(spacing_mm, float), dims)), 1)
    if not (np.isfinite(sizes).all() and (sizes >= 1).all() and (sizes == np.rint(sizes)).all()):
        raise InputError(f"a maximum filter of size {size}: expected whole numbers of voxels, at least 1")
    return tuple(int(each) for each in sizes)


def _representatives(plateaus: NDArray[Any], number: int) -> NDArray[np.int64]:
    """Return for each plateau, labelled 1 to ``number``, its voxel nearest to its centroid, the first of several."""
    places = np.argwhere(plateaus)
    labels = plateaus[tuple(places.T)] - 1
    sizes = np.bincount(labels, minlength=number)
    if len(places) == number:  # no plateau is larger than a voxel, as good as always
        return places[np.argsort(labels)]
    sums = np.stack([np.bincount(labels, axis, number) for axis in places.T], axis=1)
    distances = (((places - (sums / sizes[:, None])[labels]) ** 2).sum(1)).round(9)
    order = np.lexsort((np.arange(len(places)), distances, labels))
    return places[order][np.searchsorted(labels[order], np.arange(number))]


def _masses(
    positive: NDArray[np.float64], plateaus: NDArray[Any], number: int, window: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return the sum over each plateau's basin, divided by the number of voxels."""
    uphill = _roots(_steepest(positive))
    owner = plateaus.ravel() - 1
    for root in np.unique(uphill[positive.ravel() > 0]):
        _climb(int(root), owner, uphill, positive, window)
    # Every voxel's root has an owner by now, unless the voxel is zero.
    basins, values = owner[uphill], positive.ravel()
    return np.bincount(basins[values > 0], values[values > 0], number) / positive.size


def _climb(
    root: int, owner: NDArray[Any], uphill: NDArray[np.int64], positive: NDArray[np.float64], window: tuple[int, ...]
) -> None:
    """Find the plateau of a root that is not on one: that of the highest voxel within its window, and so on."""
    path = []
    while owner[root] < 0:
        path.append(root)
        centre = np.unravel_index(root, positive.shape)
        low = [max(int(c) - n // 2, 0) for c, n in zip(centre, window, strict=True)]
        box = positive[tuple(slice(a, int(c) - n // 2 + n) for a, c, n in zip(low, centre, window, strict=True))]
        highest = np.unravel_index(int(box.argmax()), box.shape)
        root = int(np.ravel_multi_index([a + int(h) for a, h in zip(low, highest, strict=True)], positive.shape))
        if owner[root] < 0:
            root = int(uphill[root])
    owner[path] = owner[root]


def _steepest(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each voxel (flat) the index of the highest of itself and its neighbours, the first of equal ones.

    Following it never comes back: values rise, and among equal ones the index falls.
    """
    indices = np.arange(values.size).reshape(values.shape)
    padded = np.pad(values, 1, constant_values=-np.inf)
    numbers = np.pad(indices, 1)
    best, target = np.full(values.shape, -np.inf), indices.copy()
    for offset in itertools.product(range(3), repeat=values.ndim):  # in order of rising index
        view = tuple(slice(o, o + n) for o, n in zip(offset, values.shape, strict=True))
        higher = padded[view] > best
        best = np.where(higher, padded[view], best)
        target = np.where(higher, numbers[view], target)
    return target.ravel()


def _roots(target: NDArray[np.int64]) -> NDArray[np.int64]:
    """Follow every pointer to its end, in a number of jumps that is the logarithm of the longest path."""
    while True:
        further = target[target]
        if np.array_equal(further, target):
            return target
        target = further
