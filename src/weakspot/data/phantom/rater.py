"""A simulated rater, who misses some perivascular spaces, marks what is none, and clicks on whole voxels."""

import numpy as np
from numpy.typing import NDArray

from weakspot.data.phantom.settings import RegionSettings

FloatArray = NDArray[np.float64]
CLICK_VOXELS = 0.7  # standard deviation of a click along each axis


def miss_probabilities(sizes: FloatArray, contrasts: FloatArray, missed: float) -> FloatArray:
    """Return (n,) how probably each PVS is missed: ``missed`` on average, thin and faint ones most.

    In inverse proportion to cross-section times contrast, at most 1; the rest is shared among the others.

    Parameters
    ----------
    sizes
        (n,) diameters in mm.
    contrasts
        (n,)
    missed
        The share that is missed, 0 to 1.
    """
    weights = 1 / np.maximum(sizes**2 * contrasts, 1e-9)
    found = np.zeros(len(weights))
    for _ in range(len(weights)):
        open_ = found < 1
        left = missed * len(weights) - (~open_).sum()
        if left <= 0 or not open_.any():
            break
        found[open_] = np.minimum(weights[open_] / weights[open_].sum() * left, 1)
        if (found < 1).sum() == open_.sum():
            break
    return found


def rate(
    points: FloatArray,
    visibility: FloatArray,
    spots: FloatArray,
    settings: RegionSettings,
    flat: bool,
    rng: np.random.Generator,
) -> FloatArray:
    """Return (m, 3) what a rater marks in one region, as whole voxel indices.

    Parameters
    ----------
    points
        (n, 3) voxel indices of the annotated PVS.
    visibility
        (n, 2) their diameters in mm and contrasts.
    spots
        (s, 3) voxel indices where a rater may be mistaken, at most once each.
    settings
        ``missed``, and ``added``: the number of mistakes is Poisson with the mean ``added * count``.
    flat
        Whether one slice is annotated: clicks do not leave it.
    rng
        Draws everything.
    """
    kept = rng.random(len(points)) >= miss_probabilities(visibility[:, 0], visibility[:, 1], settings.missed)
    number = min(rng.poisson(settings.added * settings.count), len(spots))
    mistaken = spots[rng.permutation(len(spots))[:number]]
    marked = np.concatenate([points[kept], mistaken])
    clicks = np.rint(marked + rng.normal(0, CLICK_VOXELS, marked.shape) * [1, 1, not flat])
    # Two on one voxel are one to whoever looks at the image.
    return np.asarray(clicks[np.sort(np.unique(clicks, axis=0, return_index=True)[1])])


def choose_spots(
    tempting: FloatArray, places: FloatArray, points: FloatArray, apart: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Return (s, 3) where a rater may be mistaken: distractors, and as many places again drawn from the region.

    Parameters
    ----------
    tempting
        (d, 3) voxel indices of distractors.
    places
        (m, 3) voxel indices of the region.
    points
        (n, 3) voxel indices of the annotated PVS, from which spots keep away.
    apart
        (3,) half widths in voxels of the box around a PVS that has no spots.
    rng
        Draws everything.
    """
    drawn = places[rng.integers(len(places), size=max(len(tempting), 10))]
    spots = np.concatenate([tempting, drawn])
    near = np.any(np.all(np.abs(spots[:, None] - points) < apart, axis=2), axis=1)
    return np.asarray(spots[~near])
