"""Free-response ROC curves and the area under them (paper 3.7; Bandos et al. 2009)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from weakspot.evaluation.averaging import scales
from weakspot.evaluation.scene import FloatArray
from weakspot.evaluation.sweep import Sweep


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve from (0, 0), where nothing is kept, to the point where every detection is.

    It is read by linear interpolation, and goes on flat from its last point.

    Attributes
    ----------
    fp : (points,) average number of false positives per image, ascending; lower is better
    sensitivity : (points,) 0-1, higher is better; NaN without any object
    threshold : (points,)
        The lowest score kept, infinite at the start; under the selection `top_k` the number kept in each
        image.
    """

    fp: FloatArray
    sensitivity: FloatArray
    threshold: FloatArray

    def read(self, rates: ArrayLike) -> FloatArray:
        """Return the sensitivity at each of ``rates`` false positives per image; of a vertical step, the upper end."""
        rates = np.asarray(rates, float)
        after = np.searchsorted(self.fp, rates, side="right")
        before, after = after - 1, np.minimum(after, len(self.fp) - 1)
        width = self.fp[after] - self.fp[before]
        part = np.where(width > 0, (rates - self.fp[before]) / np.where(width > 0, width, 1), 0)
        return self.sensitivity[before] + part * (self.sensitivity[after] - self.sensitivity[before])

    def threshold_at(self, rates: ArrayLike) -> FloatArray:
        """Return the threshold that keeps the most detections at no more than each of ``rates`` false positives."""
        return self.threshold[np.searchsorted(self.fp, np.asarray(rates, float), side="right") - 1]

    def area(self, max_fp: float) -> float:
        """Return FAUC: the area from 0 to ``max_fp`` false positives per image, divided by ``max_fp``.

        Between 0 and 1, higher is better; NaN without any object.

        Examples
        --------
        One false positive per image, then half of the objects, nothing more: the area from 1 to 4 is 3 * 0.5.

        >>> Curve(np.array([0, 1, 1.0]), np.array([0, 0, 0.5]), np.array([np.inf, 2, 1])).area(4)
        0.375
        """
        inside = int(np.searchsorted(self.fp, max_fp, side="right"))
        x = np.append(self.fp[:inside], max_fp)
        y = np.append(self.sensitivity[:inside], self.read(max_fp))
        return float(np.trapezoid(y, x) / max_fp)


def froc(sweep: Sweep, averaging: str = "image") -> Curve:
    """Return the curve over all images, with a point for each block of the sweep; the last one holds every detection.

    Under the rule `paper` a new detection can turn false positives into hits, so that the curve would run
    backwards. Points with more false positives than a later one are left off: no reader of the curve would
    choose them.
    """
    return _curve(sweep, np.ones(len(sweep.objects)), scales(sweep.objects, averaging), len(sweep.ends))


def resampled_figures(
    sweep: Sweep, weights: FloatArray, averaging: str, max_fp: float, rates: Sequence[float]
) -> FloatArray:
    """Return FAUC and the sensitivities at ``rates`` under each row of weights.

    Parameters
    ----------
    weights : (rows, images)
        How often each image counts.

    Returns
    -------
    (rows, 1 + rates)
    """
    scale = scales(sweep.objects, averaging)
    last = max([max_fp, *rates])
    whole = len(sweep.ends)
    # Mostly the range ends long before the detections do: go as far as twice its false positives on average.
    plain = np.cumsum(1 - sweep.hits)[sweep.ends] / len(sweep.objects)
    enough = min(int(np.searchsorted(plain, 2 * last)) + 1, whole)
    if sweep.hits.max(initial=0) > 1:  # the rule `paper`, whose curve can come back from beyond
        enough = whole
    figures = np.empty((len(weights), 1 + len(rates)))
    for row, weight in zip(figures, weights, strict=True):
        curve = _curve(sweep, weight, scale, enough)
        if enough < whole and curve.fp[-1] <= last:
            curve = _curve(sweep, weight, scale, whole)
        row[0], row[1:] = curve.area(max_fp), curve.read(rates)
    return figures


def _curve(sweep: Sweep, weight: FloatArray, scale: tuple[FloatArray, FloatArray], blocks: int) -> Curve:
    """Return the curve of the first ``blocks`` blocks, each image counting ``weight`` times."""
    ends = sweep.ends[:blocks]
    stop = int(ends[-1]) + 1 if blocks else 0
    image, hits = sweep.image[:stop], sweep.hits[:stop]
    fp = _from_zero(np.cumsum(weight[image] * (1 - hits))[ends]) / weight.sum()
    with np.errstate(invalid="ignore"):
        sensitivity = _from_zero(np.cumsum((weight * scale[0])[image] * hits)[ends]) / (weight @ scale[1])
    # Sums of shares such as 1/3 are not exact; a sensitivity is at most 1.
    curve = Curve(fp, np.minimum(sensitivity, 1), sweep.thresholds[: blocks + 1])
    lowest_behind = np.minimum.accumulate(fp[::-1])[::-1]
    if (fp <= lowest_behind).all():
        return curve
    kept = fp <= lowest_behind
    return Curve(curve.fp[kept], curve.sensitivity[kept], curve.threshold[kept])


def _from_zero(values: FloatArray) -> FloatArray:
    return np.concatenate([np.zeros(1), values])
