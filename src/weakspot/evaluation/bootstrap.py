"""Bootstrap over subjects: how far each figure would move with other subjects.

Subjects are drawn with their images, since images of one subject are alike. A resample is a row of weights,
how often each image was drawn, so that every figure is a function of weights, and all resamples of all
figures are seen with the same draws.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from weakspot.evaluation.conventions import Conventions
from weakspot.evaluation.scene import FloatArray, IntArray
from weakspot.seeding import generator

Statistic = Callable[[FloatArray], FloatArray]
TAILS = (0.025, 0.975)  # a 95 % interval
WEIGHTS_AT_ONCE = 4_000_000


class Figure(NamedTuple):
    """A figure with its uncertainty.

    Attributes
    ----------
    value : of all subjects
    sd : standard deviation over the resamples
    ci95 : lower and upper end of the 95 % interval
    """

    value: float
    sd: float = np.nan
    ci95: tuple[float, float] = (np.nan, np.nan)


@dataclass(frozen=True, eq=False)
class Resampled:
    """Figures under all weights.

    Attributes
    ----------
    value : (figures,) of all subjects
    resamples : (resamples, figures)
    jackknife : (subjects, figures) without each subject in turn; no rows unless the interval is "bca"
    """

    value: FloatArray
    resamples: FloatArray
    jackknife: FloatArray

    def figures(self) -> list[Figure]:
        """Return every figure with its standard deviation and interval."""
        columns = zip(self.value.tolist(), self.resamples.T, self.jackknife.T, strict=True)
        return [_figure(value, resamples, jackknife) for value, resamples, jackknife in columns]


def bootstrap(statistic: Statistic, subject: IntArray, conventions: Conventions) -> Resampled:
    """Evaluate figures on all images and on resamples of the subjects.

    Parameters
    ----------
    statistic : weights (rows, images) to figures (rows, figures)
    subject : (images,) index of each image's subject
    conventions : number of resamples, seed and interval
        The draws depend on the seed and ``subject`` alone: methods judged on the same images get the same.

    Returns
    -------
    Resampled
        Without resamples (and so with NaN intervals) where there are fewer than two subjects; a warning says so.
    """
    value = statistic(np.ones((1, len(subject))))
    several = len(np.unique(subject)) > 1
    if conventions.resamples and not several:
        warnings.warn(
            "one subject alone: how figures vary between subjects is not known, so there are no intervals and no tests",
            RuntimeWarning,
            stacklevel=3,
        )
    draws = [statistic(w) for w in draw_weights(subject, conventions.resamples * several, conventions.seed)]
    left = [statistic(w) for w in leave_out_weights(subject)] if several and conventions.interval == "bca" else []
    return Resampled(value[0], np.concatenate([value[:0], *draws]), np.concatenate([value[:0], *left]))


def draw_weights(subject: IntArray, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Yield (rows, images) in chunks: how often each image is in each resample of as many subjects as there are."""
    rng = generator(seed, "bootstrap")
    subjects = int(subject.max()) + 1
    for rows in _chunks(resamples, len(subject)):
        drawn = rng.integers(subjects, size=(rows, subjects)) + subjects * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * subjects).reshape(rows, subjects)
        yield times[:, subject].astype(float)


def leave_out_weights(subject: IntArray) -> Iterator[FloatArray]:
    """Yield (rows, images) in chunks: 0 for the images of one subject after the other, else 1."""
    start = 0
    for rows in _chunks(int(subject.max()) + 1, len(subject)):
        yield (subject[None] != np.arange(start, start + rows)[:, None]).astype(float)
        start += rows


def _chunks(rows: int, images: int) -> Iterator[int]:
    """Split so many rows of weights into chunks that memory holds."""
    most = max(WEIGHTS_AT_ONCE // images, 1)
    yield from (min(most, rows - start) for start in range(0, rows, most))


def _figure(value: float, resamples: FloatArray, jackknife: FloatArray) -> Figure:
    defined = resamples[np.isfinite(resamples)]  # a resample without a single object has no sensitivity
    if not np.isfinite(value) or len(defined) < 2:
        return Figure(value)
    tails = bca_tails(value, defined, jackknife) if len(jackknife) else TAILS
    low, high = np.quantile(defined, tails).tolist()
    return Figure(value, float(defined.std(ddof=1)), (low, high))


def bca_tails(value: float, resamples: FloatArray, jackknife: FloatArray) -> tuple[float, float]:
    """Return the quantiles of the resamples between which the BCa interval lies (Efron 1987).

    With z0 the normal quantile of the share of resamples below the value (ties count half), and the
    acceleration ``a = sum(d^3) / (6 sum(d^2)^1.5)`` of the jackknife's deviations d = mean - value, an end of
    the plain interval Phi(z) moves to Phi(z0 + (z0 + z) / (1 - a (z0 + z))).

    Parameters
    ----------
    value : of all subjects
    resamples : (resamples,)
    jackknife : (subjects,) without each subject in turn
    """
    below = ((resamples < value).mean() + (resamples <= value).mean()) / 2
    edge = 0.5 / len(resamples)  # a value beyond all resamples
    z0 = ndtri(np.clip(below, edge, 1 - edge))
    known = jackknife[np.isfinite(jackknife)]
    deviation = known.mean() - known if len(known) else np.zeros(1)
    spread = (deviation**2).sum() ** 1.5
    acceleration = (deviation**3).sum() / (6 * spread) if spread > 0 else 0.0
    moved = z0 + ndtri(TAILS)
    low, high = ndtr(z0 + moved / (1 - acceleration * moved))
    return float(low), float(high)
