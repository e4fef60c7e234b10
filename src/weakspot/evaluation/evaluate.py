"""Everything about one set of detections: the figures, their uncertainty and the conventions that they hang on."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weakspot.errors import InputError
from weakspot.evaluation.agreement import COUNT_ERRORS, count_errors
from weakspot.evaluation.bootstrap import Figure, bootstrap
from weakspot.evaluation.conventions import Conventions
from weakspot.evaluation.froc import Curve, froc, resampled_figures
from weakspot.evaluation.operating_point import FIGURES, OperatingPoint, operating_figures, operating_point
from weakspot.evaluation.results import flat
from weakspot.evaluation.scene import Detections, FloatArray, Truth
from weakspot.evaluation.sweep import sweep
from weakspot.settings import json_ready

BAND_POINTS = 101


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The figures of one set of detections; fractions are 0-1, NaN where a figure is not defined.

    Attributes
    ----------
    fauc : area under the FROC curve up to ``max_fp``, divided by it; higher is better
    sensitivity, precision, fp_avg, fn_avg, f1 : at the operating point, see `operating_figures`
    count_error : {"mae", "bias", "limit_low", "limit_high", "icc"}, see `count_errors`; empty without predicted counts
    sensitivity_at : false positives per image -> the curve's sensitivity there
    curve : the FROC curve
    band : (3, points)
        False positives per image, and the lower and upper end of the sensitivity's 95 % interval at each.
    point : what is kept and matched at the operating point, per image
    fauc_resampled : (resamples,)
    n_images, n_objects, n_detections, n_subjects : how many of them
    conventions : with all choices
    """

    fauc: Figure
    sensitivity: Figure
    precision: Figure
    fp_avg: Figure
    fn_avg: Figure
    f1: Figure
    count_error: dict[str, Figure]
    sensitivity_at: dict[float, Figure]
    curve: Curve
    band: FloatArray
    point: OperatingPoint
    fauc_resampled: FloatArray
    n_images: int
    n_objects: int
    n_detections: int
    n_subjects: int
    conventions: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the values of single images and resamples, JSON-ready.

        Each figure has three entries, ``fauc``, ``fauc_sd`` and ``fauc_ci95``; those of ``count_error`` are called
        ``count_mae`` and so on. NaN and infinity are None.
        """
        rates = [
            {"fp": rate, **flat({"sensitivity": figure}), "threshold": self.curve.threshold_at(rate)}
            for rate, figure in self.sensitivity_at.items()
        ]
        content = {
            **flat({name: getattr(self, name) for name in ("fauc", *FIGURES)}),
            **flat({f"count_{name}": figure for name, figure in self.count_error.items()}),
            "sensitivity_at": rates,
            "curve": {name: getattr(self.curve, name) for name in ("fp", "sensitivity", "threshold")},
            "band": dict(zip(("fp", "low", "high"), self.band, strict=True)),
            **{name: getattr(self, name) for name in ("n_images", "n_objects", "n_detections", "n_subjects")},
            "conventions": self.conventions,
        }
        return dict(json_ready(content))


def evaluate(detections: Detections, truth: Truth, conventions: Conventions | None = None) -> Evaluation:
    """Evaluate detections against the truth.

    Without a single object sensitivities are NaN, with one subject alone intervals are; a warning says so.

    Parameters
    ----------
    detections : in the images of ``truth``
    truth : the objects
    conventions : how; the defaults if not given

    Raises
    ------
    InputError
        For no images at all, or where the conventions need what was not given: spacing, extents or counts.

    Examples
    --------
    One of two objects found, one false positive of a lower score, and an image without either:

    >>> from weakspot.evaluation import detections_of, truth_of
    >>> truth = truth_of([[[5, 5], [20, 20]], []])
    >>> found = detections_of([[[6, 5], [40, 40]], []], [[0.9, 0.2], []], truth)
    >>> evaluate(found, truth).fauc.value
    0.5
    """
    chosen = conventions or Conventions()
    if chosen.operating_point is None:
        chosen = replace(chosen, operating_point="all" if detections.counts is None else "count")
    if not truth.n_images:
        raise InputError("no images: there is nothing to evaluate")
    if not len(truth.points):
        warnings.warn(
            "no object in any image: sensitivity and FAUC are not defined (NaN)", RuntimeWarning, stacklevel=2
        )
    ordered = sweep(detections, truth, chosen)
    curve = froc(ordered, chosen.averaging)
    point = operating_point(detections, truth, chosen)
    grid = np.linspace(0, chosen.max_fp, BAND_POINTS)

    def statistic(weights: FloatArray) -> FloatArray:
        parts = [
            resampled_figures(ordered, weights, chosen.averaging, chosen.max_fp, (*chosen.rates, *grid.tolist())),
            operating_figures(point, weights, chosen.averaging),
        ]
        if detections.counts is not None:
            parts.append(count_errors(detections.counts, truth.counts, weights))
        return np.concatenate(parts, axis=1)

    resampled = bootstrap(statistic, truth.subject, chosen)
    figures = iter(resampled.figures())
    fauc = next(figures)
    sensitivity_at = {rate: next(figures) for rate in chosen.rates}
    ends = np.array([next(figures).ci95 for _ in grid])
    return Evaluation(
        fauc,
        **{name: next(figures) for name in FIGURES},
        count_error=dict(zip(COUNT_ERRORS, figures, strict=True)) if detections.counts is not None else {},
        sensitivity_at=sensitivity_at,
        curve=curve,
        band=np.stack([grid, *ends.T]),
        point=point,
        fauc_resampled=resampled.resamples[:, 0],
        n_images=truth.n_images,
        n_objects=len(truth.points),
        n_detections=len(detections.points),
        n_subjects=len(np.unique(truth.subject)),
        conventions={**chosen.describe(), "slice_axis": truth.slice_axis},
    )
