"""What is found at one operating point (paper 3.7): the predicted count, a threshold, or a fixed number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weakspot.errors import InputError
from weakspot.evaluation.averaging import average
from weakspot.evaluation.conventions import Conventions
from weakspot.evaluation.matching import match
from weakspot.evaluation.scene import Detections, FloatArray, IntArray, Truth
from weakspot.evaluation.sweep import ranks

FIGURES = ("sensitivity", "precision", "fp_avg", "fn_avg", "f1")
MOST = 2**53  # more than any image has detections, and still a whole number


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """The detections that are kept, and what they are.

    Attributes
    ----------
    kept : (detections,)
        Which detections are kept.
    matched : (detections,)
        The index of each one's object in the truth's points; -1 for false positives, and for what is not
        kept.
    tp, fp, fn : (images,)
        Hits, false positives and missed objects.
    predicted : (images,) or None
        The predicted counts.
    """

    kept: NDArray[np.bool_]
    matched: IntArray
    tp: IntArray
    fp: IntArray
    fn: IntArray
    predicted: FloatArray | None = None

    def per_image(self) -> dict[str, NDArray[np.generic]]:
        """Return columns (images,): objects, kept, tp, fp, fn, sensitivity, precision, f1 and, of counts, count_error.

        Fractions are 0-1, NaN without objects (sensitivity), without anything kept (precision), without either
        (F1). The count error is the predicted count, as it was given, less the number of objects.
        """
        tp, fp, fn = self.tp, self.fp, self.fn
        columns = {"objects": tp + fn, "kept": tp + fp, "tp": tp, "fp": fp, "fn": fn}
        fractions = {
            "sensitivity": _share(tp, tp + fn),
            "precision": _share(tp, tp + fp),
            "f1": _share(2 * tp, 2 * tp + fp + fn),
        }
        errors = {} if self.predicted is None else {"count_error": self.predicted - (tp + fn)}
        return {**columns, **fractions, **errors}


def _share(part: IntArray, whole: IntArray) -> FloatArray:
    """Return the quotients, NaN for 0 / 0."""
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))


def whole_counts(counts: ArrayLike) -> IntArray:
    """Return predicted counts as whole numbers: to the nearest, a half up, never below 0, at most `MOST`.

    >>> whole_counts([-0.7, 0.5, 1.49, 2.5])
    array([0, 1, 1, 3])
    """
    return np.clip(np.floor(np.asarray(counts, float) + 0.5), 0, MOST).astype(np.intp)


def operating_point(detections: Detections, truth: Truth, conventions: Conventions) -> OperatingPoint:
    """Keep detections as `Conventions.operating_point` says, and match them.

    Raises
    ------
    InputError
        For the operating point "count" without predicted counts.
    """
    kept = _kept(detections, conventions)
    matched = match(detections, truth, conventions, kept)
    n = truth.n_images
    tp = np.bincount(detections.image[matched >= 0], minlength=n)
    fp = np.bincount(detections.image[kept & (matched < 0)], minlength=n)
    return OperatingPoint(kept, matched, tp, fp, truth.counts - tp, detections.counts)


def operating_figures(point: OperatingPoint, weights: FloatArray, averaging: str) -> FloatArray:
    """Return the `FIGURES` under each row of weights.

    Sensitivity tp / (tp + fn), precision tp / (tp + fp) and F1 = 2 tp / (2 tp + fp + fn), averaged over
    images as named: 0-1, higher is better, NaN where nothing could be found or was kept. False positives and
    missed objects are means over all images; lower is better.

    Parameters
    ----------
    weights : (rows, images)

    Returns
    -------
    (rows, 5)
    """
    tp, fp, fn = point.tp, point.fp, point.fn
    images = np.ones(len(tp))
    return np.stack(
        [
            average(tp, tp + fn, weights, averaging),
            average(tp, tp + fp, weights, averaging),
            average(fp, images, weights, "image"),
            average(fn, images, weights, "image"),
            average(2 * tp, 2 * tp + fp + fn, weights, averaging),
        ],
        axis=1,
    )


def _kept(detections: Detections, conventions: Conventions) -> NDArray[np.bool_]:
    kind, value = conventions.operating_point, conventions.operating_value
    if kind is None:
        kind = "all" if detections.counts is None else "count"
    if value is not None:
        return detections.scores >= value if kind == "threshold" else ranks(detections) < value
    if kind == "all":
        return np.ones(len(detections.scores), bool)
    if detections.counts is None:
        raise InputError("the operating point 'count' needs predicted counts: give them, a threshold or top_k")
    return ranks(detections) < whole_counts(detections.counts)[detections.image]
