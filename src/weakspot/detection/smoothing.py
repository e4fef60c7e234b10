"""How far to smooth maps before peaks are sought, and from which score on a peak counts, told by counts alone.

Which of a map's peaks are objects is not known where no locations are. But with the right smoothing there is one height
above which each image has as many peaks as it has objects; where objects have several peaks each, or a few of them
tower above the rest, there is none. So the smoothing is taken by which numbers of peaks and counts agree best.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FOLDS = 10
_WIDEST = 16.0  # voxels; wider than what the networks see


@dataclass(frozen=True, eq=False)
class Smoothing:
    """What counts tell of smoothing.

    Attributes
    ----------
    sigma_vox : standard deviation of the Gaussian
    threshold : the score above which a candidate counts; infinite where it is best that none does
    numbers : (images,) of candidates that count, by thresholds found without the image
    unsmoothed : (images,) the same of maps as they are
    """

    sigma_vox: float
    threshold: float
    numbers: NDArray[np.intp]
    unsmoothed: NDArray[np.intp]


def root_differences(numbers: ArrayLike, counts: ArrayLike) -> NDArray[np.float64]:
    """Return how far numbers (images,) are from counts (images,): ``|sqrt(number + 3/8) - sqrt(count + 3/8)|``.

    Counts vary the more the higher they are, and these roots do not (Anscombe 1948), so that images with many objects
    do not outvote the others.

    >>> root_differences([1, 10], [0, 10]).round(2).tolist()
    [0.56, 0.0]
    """
    one, other = (np.sqrt(np.asarray(each, float) + 3 / 8) for each in (numbers, counts))
    return np.asarray(np.abs(one - other))


def best_threshold(scores: Sequence[NDArray[np.float64]], counts: ArrayLike) -> tuple[float, NDArray[np.intp]]:
    """Return above which score candidates are as many as counted, and how many there are then.

    Parameters
    ----------
    scores : of the candidates of each image, in descending order, above 0
    counts : (images,)

    Returns
    -------
    threshold : halfway between the last score that counts and the next, or zero; of several of least
        mean `root_differences` the highest; infinite where it is best that none counts
    numbers : (images,) of candidates above it

    Examples
    --------
    >>> best_threshold([np.array([0.9, 0.75, 0.25]), np.array([0.5])], [2, 0])
    (0.625, array([2, 0]))
    """
    counted = np.asarray(counts, float)
    numbers = [len(each) for each in scores]
    owner = np.repeat(np.arange(len(scores)), numbers)
    rank = np.arange(1, sum(numbers) + 1) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    pooled = np.concatenate([*scores, np.zeros(0)])
    # What the candidate of a rank changes, as the last one that its image keeps.
    change = root_differences(rank, counted[owner]) - root_differences(rank - 1, counted[owner])
    order = np.argsort(-pooled, kind="stable")
    levels = np.append(pooled[order], 0.0)
    ends = np.flatnonzero(np.diff(levels))  # equal scores are kept together
    totals = np.concatenate([[0.0], np.cumsum(change[order])[ends]])
    best = int(np.argmin(np.round(totals, 9)))
    threshold = np.inf if best == 0 else float(levels[ends[best - 1]] + levels[ends[best - 1] + 1]) / 2
    return threshold, _numbers(scores, threshold)


def smoothing_by_counts(scores: Mapping[float, Sequence[NDArray[np.float64]]], counts: ArrayLike) -> Smoothing:
    """Return the least smoothing that is as good as the best: no more than one standard error worse.

    The standard error is that of the mean of the images' differences from the best smoothing (the rule of Breiman et
    al. 1984, section 3.4.3, for paired differences), so a smoothing that chance may have favoured is not taken.

    Parameters
    ----------
    scores : by standard deviation, ascending from 0 (such as `sigmas_for`): those of each image's candidates, in
        descending order
    counts : (images,) of objects; where peaks are sought in one slice, of those in it

    Examples
    --------
    >>> from weakspot.detection import candidates
    >>> one, other = np.zeros((2, 40, 40))
    >>> one[20, [17, 21]] = 1, 0.8  # an object with two peaks
    >>> other[9, 9] = 0.5  # below both of which another one's lies
    >>> maps = one, one, other, other
    >>> found = {sigma: [candidates(each, 3, smooth=sigma).scores for each in maps] for sigma in sigmas_for(40)}
    >>> smoothing_by_counts(found, [1, 1, 1, 1]).sigma_vox
    2.0
    """
    counted = np.asarray(counts, float)
    found = {sigma: best_threshold(each, counted) for sigma, each in scores.items()}
    differences = {sigma: root_differences(numbers, counted) for sigma, (_, numbers) in found.items()}
    best = min(differences.values(), key=lambda each: float(each.mean()))
    sigma = next(sigma for sigma, each in differences.items() if as_good(each, best))
    return Smoothing(
        sigma, found[sigma][0], *(_cross_validated(scores[each], counted) for each in (sigma, min(scores)))
    )


def as_good(differences: NDArray[np.float64], best: NDArray[np.float64]) -> bool:
    """Return whether differences (images,) are on average no more than one standard error above the best ones.

    Examples
    --------
    >>> as_good(np.array([1, 2, 0, 1.0]), np.array([1, 0, 1, 1.0])), as_good(np.array([1, 1.0]), np.array([0, 0.0]))
    (True, False)
    """
    worse = differences - best
    return bool(worse.mean() <= worse.std(ddof=min(1, len(worse) - 1)) / len(worse) ** 0.5)


def sigmas_for(longest: int) -> tuple[float, ...]:
    """Return what is to be tried, in voxels: nothing, and steps of a third to a half up to a 16th of the longest side.

    No more than 16 voxels.

    >>> sigmas_for(64)
    (0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
    """
    steps = (sigma for power in range(-1, 5) for sigma in (2.0**power, 1.5 * 2.0**power))
    return 0.0, *itertools.takewhile(lambda sigma: sigma <= min(longest / 16, _WIDEST), steps)


def _cross_validated(scores: Sequence[NDArray[np.float64]], counted: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the numbers (images,) by thresholds found without a tenth of the images, for these."""
    fold, found = np.arange(len(scores)) % FOLDS, np.zeros(len(scores), np.intp)
    for each in np.unique(fold):
        within = fold == each
        threshold, _ = best_threshold(list(itertools.compress(scores, ~within)), counted[~within])
        found[within] = _numbers(list(itertools.compress(scores, within)), threshold)
    return found


def _numbers(scores: Sequence[NDArray[np.float64]], threshold: float) -> NDArray[np.intp]:
    return np.array([np.count_nonzero(each > threshold) for each in scores], np.intp)
