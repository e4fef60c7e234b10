"""How far to smooth maps before peaks are sought, told by counts alone.

Which of a map's peaks are objects is not known where no locations are. But with the right smoothing there is one height
above which each image has as many peaks as it has objects; where objects have several peaks each, or a few of them
tower above the rest, there is none. So the smoothing is taken by which numbers of peaks and counts agree best.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weakspot.detection.slices import candidates_in


@dataclass(frozen=True, eq=False)
class Smoothing:
    """What counts tell of smoothing.

    Attributes
    ----------
    sigma_vox : standard deviation of the Gaussian
    threshold : the score from which on a candidate counts; infinite where none is best to
    differences : (images,) of the number of candidates that count from the count, absolute
    unsmoothed : (images,) the same of maps as they are, at the best threshold of theirs
    """

    sigma_vox: float
    threshold: float
    differences: NDArray[np.float64]
    unsmoothed: NDArray[np.float64]


def best_threshold(scores: Sequence[NDArray[np.float64]], counts: ArrayLike) -> tuple[float, NDArray[np.float64]]:
    """Return from which score on candidates are as many as counted, and by how much each image differs from it then.

    Parameters
    ----------
    scores : of the candidates of each image, in descending order
    counts : (images,)

    Returns
    -------
    threshold : of least mean absolute difference, the highest of several; infinite where it is best to keep none
    differences : (images,) of the number of candidates with at least this score from the count, absolute

    Examples
    --------
    >>> best_threshold([np.array([0.9, 0.7, 0.2]), np.array([0.6, 0.4])], [2, 0])
    (0.7, array([0., 0.]))
    """
    counted = np.asarray(counts, float)
    numbers = [len(each) for each in scores]
    owner = np.repeat(np.arange(len(scores)), numbers)
    rank = np.arange(1, sum(numbers) + 1) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    pooled = np.concatenate([*scores, np.zeros(0)])
    # What the candidate of a rank changes, as the last one that its image keeps.
    change = np.abs(rank - counted[owner]) - np.abs(rank - 1 - counted[owner])
    order = np.argsort(-pooled, kind="stable")
    levels = pooled[order]
    ends = np.flatnonzero(np.diff(levels, append=-np.inf))  # equal scores are kept together
    totals = np.concatenate([[0.0], np.cumsum(change[order])[ends]])
    best = int(np.argmin(np.round(totals, 9)))
    threshold = np.inf if best == 0 else float(levels[ends[best - 1]])
    kept = np.array([np.count_nonzero(each >= threshold) for each in scores])
    return threshold, np.abs(kept - counted)


def smoothing_by_counts(
    maps: Sequence[NDArray[Any]],
    counts: ArrayLike,
    places: Iterable[tuple[int, float] | None] | None = None,
    **detection: Any,
) -> Smoothing:
    """Return the least smoothing that is as good as the best: no more than one standard error worse.

    The standard error is that of the mean of the images' differences from the best smoothing (the rule of Breiman et
    al. 1984, section 3.4.3, for paired differences), so a smoothing that chance may have favoured is not taken.

    Parameters
    ----------
    maps : each (*spatial), raw and signed
    counts : (images,) of objects; where peaks are sought in one slice, of those in it
    places : axis and index of that slice, see `weakspot.detection.candidates_in`
    **detection : as for `weakspot.detection.candidates`, but for the smoothing

    Examples
    --------
    >>> one, other = np.zeros((2, 40, 40))
    >>> one[20, [17, 21]] = 1, 0.8  # an object with two peaks
    >>> other[9, 9] = 0.5  # below both of which another one's lies
    >>> smoothing_by_counts([one, one, other, other], [1, 1, 1, 1], size=3).sigma_vox
    2.0
    """
    where = [None] * len(maps) if places is None else list(places)

    def tried(sigma: float) -> tuple[float, float, NDArray[np.float64]]:
        found = [candidates_in(each, place, smooth=sigma, **detection) for each, place in zip(maps, where, strict=True)]
        return sigma, *best_threshold([each.scores for each in found], counts)

    every = [tried(sigma) for sigma in sigmas_for(max(max(each.shape) for each in maps))]
    best = min(every, key=lambda each: float(each[2].mean()))[2]
    sigma, threshold, differences = next(each for each in every if as_good(each[2], best))
    return Smoothing(sigma, threshold, differences, every[0][2])


def as_good(differences: NDArray[np.float64], best: NDArray[np.float64]) -> bool:
    """Return whether differences (images,) are on average no more than one standard error above the best ones.

    Examples
    --------
    >>> as_good(np.array([1, 2, 0, 1.0]), np.array([1, 0, 1, 1.0])), as_good(np.array([1, 1.0]), np.array([0, 0.0]))
    (True, False)
    """
    worse = differences - best
    return bool(worse.mean() <= worse.std(ddof=min(1, len(worse) - 1)) / len(worse) ** 0.5)


def sigmas_for(longest: int) -> Iterator[float]:
    """Yield what is tried, in voxels: nothing, and steps of a third to a half up to a 16th of the longest side."""
    yield 0.0
    sigma = 0.5
    while 16 * sigma <= longest:
        yield sigma
        if 24 * sigma <= longest:
            yield 1.5 * sigma
        sigma *= 2
