"""Are two methods different? Tests on the same images, and their correction for being many."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import wilcoxon

from weakspot.evaluation.scene import FloatArray, IntArray


def paired_bootstrap_p(difference: float, resampled: FloatArray) -> float:
    """Return the two-sided p-value of a difference of two figures, from paired resamples of it.

    If the methods were equal, the difference would spread about 0 as its resamples d* do about the difference
    d: ``p = (1 + number of |d* - d| >= |d|) / (1 + resamples)`` (Efron and Tibshirani 1993, chapter 16; the 1
    keeps p above 0, Davison and Hinkley 1997, 4.2.3). It is paired if in each resample both methods are seen
    on the same draw of subjects; drawn apart, differences between subjects that both methods share would
    count as noise.

    Parameters
    ----------
    difference : of all subjects
    resampled : (resamples,) the difference in each resample

    Returns
    -------
    float
        Between 1 / (1 + resamples) and 1; NaN if the difference is, or without resamples.
    """
    defined = resampled[np.isfinite(resampled)]
    if not np.isfinite(difference) or not len(defined):
        return float("nan")
    # Resamples equal to the difference but for rounding count as equal.
    beyond = np.abs(defined - difference) >= abs(difference) - 1e-12
    return float((1 + beyond.sum()) / (1 + len(defined)))


def wilcoxon_p(first: ArrayLike, second: ArrayLike, subject: IntArray) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test on paired values of the images.

    The pairs are those of subjects, which are independent where images of one subject are not: differences
    are averaged within each subject first. Differences of 0 are left out (Wilcoxon 1945); if all are 0, p is
    1.

    Parameters
    ----------
    first, second : (images,)
        NaN, as the sensitivity of an image without objects is, leaves the image out.
    subject : (images,) index of each image's subject

    Returns
    -------
    float
        NaN with fewer than two subjects, of which no test can tell anything.
    """
    difference = np.asarray(first, float) - np.asarray(second, float)
    defined = np.isfinite(difference)
    if len(np.unique(subject[defined])) < 2:
        return float("nan")
    images = np.bincount(subject[defined])
    sums = np.bincount(subject[defined], difference[defined])
    means = sums[images > 0] / images[images > 0]
    # Equal differences share a rank: rounding in the means must not tear them apart.
    means = means.round(12)
    if not means.any():
        return 1.0
    return float(wilcoxon(means[means != 0]).pvalue)


def holm(p_values: ArrayLike) -> FloatArray:
    """Return the p-values of a family of tests, adjusted by Holm's step-down method (1979).

    In ascending order, p_(i) becomes the largest of ``(m - j + 1) p_(j)`` over j <= i, at most 1, m being the
    number of tests. Rejecting where it is below alpha keeps the chance of any false rejection below alpha.
    NaN, a test that was not possible, stays NaN and does not count.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    given = np.asarray(p_values, float)
    adjusted = np.full(given.shape, np.nan)
    tests = np.flatnonzero(np.isfinite(given))
    order = tests[np.argsort(given[tests], kind="stable")]
    steps = np.arange(len(order), 0, -1) * given[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted
