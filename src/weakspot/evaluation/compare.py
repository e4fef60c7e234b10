"""Two or more methods on the same images: which is best, and which are not significantly worse."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakspot.errors import InputError
from weakspot.evaluation.conventions import Conventions
from weakspot.evaluation.evaluate import Evaluation, evaluate
from weakspot.evaluation.scene import Detections, FloatArray, Truth
from weakspot.evaluation.significance import holm, paired_bootstrap_p, wilcoxon_p
from weakspot.settings import json_ready

ALPHA = 0.05  # section 3.7
# The measures compared, and whether more of them is better.
MEASURES = {"fauc": True, "sensitivity": True, "fp_avg": False, "fn_avg": False}
PER_IMAGE = {"sensitivity": "sensitivity", "fp_avg": "fp", "fn_avg": "fn"}


@dataclass(frozen=True, eq=False)
class PairTests:
    """The tests of one measure between all pairs of methods.

    Attributes
    ----------
    difference : (methods, methods) value of the row's method less that of the column's
    p : (methods, methods) two-sided, symmetric; NaN on the diagonal
        Of the paired bootstrap for FAUC, of Wilcoxon's signed-rank test for the others.
    p_holm : (methods, methods) the same, adjusted by Holm's method over all pairs
    marked : (methods,)
        The best methods, and those not significantly worse than one of these (adjusted p of at least 0.05):
        bold in the paper's tables. Without a test (NaN) that is not known, and the best alone are marked.
    """

    difference: FloatArray
    p: FloatArray
    p_holm: FloatArray
    marked: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several methods on the same images.

    Attributes
    ----------
    evaluations : by the method's name
    tests : by the measure: "fauc", "sensitivity", "fp_avg", "fn_avg"
    """

    evaluations: dict[str, Evaluation]
    tests: dict[str, PairTests]

    def to_dict(self) -> dict[str, Any]:
        """Return everything JSON-ready; matrices have the methods' order in both directions."""
        tests = {
            measure: {name: getattr(test, name) for name in ("difference", "p", "p_holm", "marked")}
            for measure, test in self.tests.items()
        }
        methods = {name: evaluation.to_dict() for name, evaluation in self.evaluations.items()}
        how = {
            "fauc": "paired bootstrap over subjects, centred on no difference, two-sided",
            **dict.fromkeys(PER_IMAGE, "Wilcoxon signed-rank on the means of subjects, two-sided"),
            "correction": "Holm, over all pairs of methods of a measure",
            "alpha": ALPHA,
            "marked": "the best, and what is not significantly worse; the best alone where no test was possible",
        }
        return dict(json_ready({"order": list(methods), "methods": methods, "tests": tests, "test_conventions": how}))


def compare(methods: Mapping[str, Detections], truth: Truth, conventions: Conventions | None = None) -> Comparison:
    """Evaluate each method, and test each pair of them.

    In each resample of the bootstrap all methods are seen on the same draw of subjects.

    Parameters
    ----------
    methods : detections by the method's name, at least two
    truth : the objects
    conventions : how; the defaults if not given

    Raises
    ------
    InputError
        For fewer than two methods, or only some with counts where these decide what is kept.
    """
    if len(methods) < 2:
        raise InputError(f"{len(methods)} methods: comparing takes at least two")
    with_counts = [name for name, detections in methods.items() if detections.counts is not None]
    if (conventions is None or conventions.operating_point is None) and 0 < len(with_counts) < len(methods):
        raise InputError(
            f"counts of {', '.join(with_counts)} only: give all methods counts, or name the operating point"
        )
    evaluations = {name: evaluate(detections, truth, conventions) for name, detections in methods.items()}
    return Comparison(evaluations, {m: _tests(m, list(evaluations.values()), truth) for m in MEASURES})


def _tests(measure: str, evaluations: list[Evaluation], truth: Truth) -> PairTests:
    values = np.array([getattr(each, measure).value for each in evaluations])
    pairs = list(itertools.combinations(range(len(values)), 2))
    p = [_p_value(measure, evaluations[a], evaluations[b], truth) for a, b in pairs]
    plain, adjusted = (_symmetric(pairs, found, len(values)) for found in (np.array(p), holm(p)))
    return PairTests(values[:, None] - values, plain, adjusted, _marked(values, adjusted, MEASURES[measure]))


def _symmetric(pairs: list[tuple[int, int]], found: FloatArray, size: int) -> FloatArray:
    matrix = np.full((size, size), np.nan)
    for (row, column), value in zip(pairs, found, strict=True):
        matrix[row, column] = matrix[column, row] = value
    return matrix


def _p_value(measure: str, first: Evaluation, second: Evaluation, truth: Truth) -> float:
    if measure == "fauc":
        resampled = first.fauc_resampled - second.fauc_resampled
        return paired_bootstrap_p(first.fauc.value - second.fauc.value, resampled)
    one, other = (each.point.per_image()[PER_IMAGE[measure]] for each in (first, second))
    return wilcoxon_p(one, other, truth.subject)


def _marked(values: FloatArray, p_holm: FloatArray, more_is_better: bool) -> NDArray[np.bool_]:
    if np.isnan(values).all():
        return np.zeros(len(values), bool)
    best = values == (np.nanmax(values) if more_is_better else np.nanmin(values))
    return np.asarray(best | (p_holm[best] >= ALPHA).any(0))
