"""Candidates: the local maxima of an attention map (paper 3.6, 3.7), in any number of dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from weakspot.detection.basins import basin_sums
from weakspot.detection.prominence import prominences
from weakspot.errors import InputError

SIZE_VOX = 6  # of the maximum filter (section 3.7)
SCORES = ("height", "mass", "prominence")


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates of one image, the best first; of equal scores the higher, then the one of lower index.

    Attributes
    ----------
    points : (n, dims) float64
        Voxel indices.
    heights : (n,) float64
        The map at the points; above 0.
    scores : (n,) float64
        In descending order; above 0; the higher, the surer.
    """

    points: NDArray[np.float64]
    heights: NDArray[np.float64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.points)


def candidates(
    attention: NDArray[Any],
    size: float | Sequence[float] = SIZE_VOX,
    spacing_mm: ArrayLike | None = None,
    score: str = "height",
    smooth: float | Sequence[float] = 0.0,
) -> Candidates:
    """Find the local maxima of a map that no higher voxel is near.

    Negative values count as zero (section 3.6). A local maximum is a voxel, or a plateau of connected equal
    voxels, that no neighbour exceeds (8 neighbours in 2D, 26 in 3D). It is a candidate if at least one of its
    voxels is the highest of the box around it (the maximum filter of section 3.7). Maxima at the border are
    kept, a constant map has none, and two separate ones of exactly equal height do not suppress each other.

    A box of even size n cannot be centred. It reaches n/2 voxels towards lower and n/2 - 1 towards higher
    indices, as scipy's filter does. So shifted or transposed maps have shifted or transposed candidates, but
    in a mirrored one, two maxima exactly n/2 apart may fare otherwise.

    A plateau is one candidate: of its voxels that are the highest of their box, the nearest to the centroid
    of these, the one of lowest index if several are.

    Parameters
    ----------
    attention : (*spatial)
        A raw, signed map; finite.
    size : of the box, one number or one per axis
        In voxels; in mm if ``spacing_mm`` is given, then rounded to whole voxels (a half up), at least 1.
    spacing_mm : (dims,) size of a voxel
    score
        What candidates are ordered by: "height", the map's value at the point (the paper's); "mass", the sum of the
        positive part of the map over the peak's basin (`weakspot.detection.basins.basin_sums`) divided by the number
        of voxels of the map; or "prominence", the height above the saddle to a higher maximum
        (`weakspot.detection.prominence.prominences`; what the h-maxima transform and Fiji's Find Maxima cut by), by
        which of several maxima on one object only the highest ranks high. Of two maxima of exactly equal height the
        first in the order of indices counts as the higher, in a transposed map maybe the other.
    smooth : one number or one per axis, 0 for the map as it is
        Standard deviation of a Gaussian in voxels; the map, signed, is smoothed before anything else, and counts as
        zero beyond its border. Heights, scores and points are then those of the smoothed map. Counts tell how far to
        smooth, `weakspot.detection.smoothing`.

    Notes
    -----
    A network that counts by the mean of its map may light a part of something else and take it back beside: a stroke
    of a 7 counts as a 1, and the rest of the 7 against it. The sum over the size of an object is what the network
    counts there; smoothing takes it, negative values and all, where heights see the light alone.

    Where the mean of the map plus the bias is the predicted count (a class activation map with global average
    pooling), ``count = bias + sum of masses + mean of the map's negative part``, so a mass is in the unit of
    the count. Basins leave the negative part out: it marks what speaks against an object (section 3.6), and
    belongs to no peak; shared out, a distractor's dip would count against the objects that it lies between.

    Raises
    ------
    InputError
        For values that are not finite, a size below one voxel or not whole, a negative smoothing, or a score that is
        none of these.

    Examples
    --------
    >>> found = candidates(np.array([[0, 1, 0, 0, 0, 0, 0, 3, 1]]), score="mass")
    >>> found.points.tolist(), found.heights.tolist(), (found.scores * 9).tolist()
    ([[0.0, 7.0], [0.0, 1.0]], [3.0, 1.0], [4.0, 1.0])
    >>> candidates(np.array([5, 4, 4.5, 0, 2]), size=2, score="prominence").scores.tolist()
    [5.0, 2.0, 0.5]
    """
    attention = np.asarray(attention)
    if score not in SCORES:
        raise InputError(f"score {score!r}: choose one of {', '.join(SCORES)}")
    if wrong := np.count_nonzero(~np.isfinite(attention)):
        raise InputError(f"{wrong} of the {attention.size} values of the attention map are NaN or infinite")
    window = _window(size, spacing_mm, attention.ndim)
    if any(sigmas := _sigmas(smooth, attention.ndim)):
        attention = ndimage.gaussian_filter(
            attention.astype(np.result_type(attention, np.float32)), sigmas, mode="constant"
        )
    if attention.size == 0 or attention.min() == attention.max():
        nothing = np.zeros(0)
        return Candidates(np.zeros((0, attention.ndim)), nothing, nothing)

    positive = np.maximum(attention, 0)
    summits = _summits(positive)
    highest = positive == ndimage.maximum_filter(positive, size=window, mode="constant")
    peaks = _one_each(np.where(highest, summits, 0))
    heights = positive[tuple(peaks.T)].astype(float)
    scores = heights
    if score == "mass":
        scores = basin_sums(positive, summits, peaks, window) / positive.size
    elif score == "prominence":
        scores = prominences(positive, summits, peaks)
    order = np.lexsort((*peaks.T[::-1], -heights, -scores))
    return Candidates(peaks[order].astype(float), heights[order], scores[order])


def _window(size: float | Sequence[float], spacing_mm: ArrayLike | None, dims: int) -> tuple[int, ...]:
    """Return the filter's size in voxels along each axis."""
    given = f"a maximum filter of size {size}" + ("" if spacing_mm is None else f" mm at a spacing of {spacing_mm} mm")
    if np.size(size) not in (1, dims) or (spacing_mm is not None and np.size(spacing_mm) != dims):
        raise InputError(f"{given}: the map has {dims} axes")
    sizes = np.broadcast_to(np.asarray(size, float), dims)
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise InputError(f"{given}: expected sizes above 0")
    if spacing_mm is not None:
        spacing = np.asarray(spacing_mm, float)
        if not (np.isfinite(spacing) & (spacing > 0)).all():
            raise InputError(f"{given}: expected a spacing above 0")
        sizes = np.maximum(np.floor(sizes / spacing + 0.5), 1)
    if (sizes != np.floor(sizes)).any():
        raise InputError(f"{given}: expected whole numbers of voxels; for mm, give the spacing")
    return tuple(int(each) for each in sizes)


def _sigmas(smooth: float | Sequence[float], dims: int) -> tuple[float, ...]:
    """Return the Gaussian's standard deviation along each axis."""
    given = np.asarray(smooth, float)
    if given.size not in (1, dims) or not (np.isfinite(given) & (given >= 0)).all():
        raise InputError(f"a smoothing of {smooth}: expected 0 or more, one number or one for each of {dims} axes")
    return tuple(np.broadcast_to(given, dims).tolist())


def _summits(positive: NDArray[Any]) -> NDArray[Any]:
    """Label the local maxima: connected equal voxels that no neighbour of any of them exceeds."""
    around = np.ones([3] * positive.ndim)
    top = (positive > 0) & (positive == ndimage.maximum_filter(positive, size=3, mode="constant"))
    labels, number = ndimage.label(top, around)
    # Top voxels side by side are equal. If one also touches an equal voxel that is not top, its plateau goes
    # on to a rise.
    below = ndimage.maximum_filter(np.where(top, 0, positive), size=3, mode="constant")
    kept = np.ones(number + 1, bool)
    kept[labels[top & (below == positive)]] = False
    return np.where(kept[labels], labels, 0)


def _one_each(labels: NDArray[Any]) -> NDArray[np.intp]:
    """Return (n, dims): for each label but 0, its voxel nearest to the centroid, the first of several."""
    places = np.argwhere(labels)
    _, group, sizes = np.unique(labels[tuple(places.T)], return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(group, axis, len(sizes)) for axis in places.T], axis=1).astype(np.intp)
    # In whole numbers, n times the distance, so that equal distances are equal.
    distance = ((places * sizes[group, None] - sums[group]) ** 2).sum(1)
    order = np.lexsort((distance, group))
    return places[order[np.searchsorted(group[order], np.arange(len(sizes)))]]
