"""Agreement of counts, and of two raters (paper 3.8)."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from weakspot.errors import InputError
from weakspot.evaluation.bootstrap import Figure, bootstrap
from weakspot.evaluation.conventions import Conventions
from weakspot.evaluation.operating_point import FIGURES, operating_figures, operating_point
from weakspot.evaluation.results import flat
from weakspot.evaluation.scene import FloatArray, Truth, detections_of_truth
from weakspot.settings import json_ready

COUNT_ERRORS = ("mae", "bias", "limit_low", "limit_high", "icc")
Z_95 = 1.96  # as Bland and Altman round it


def count_errors(predicted: ArrayLike, true: ArrayLike, weights: FloatArray) -> FloatArray:
    """Return how far predicted counts are from the true ones, under each row of weights.

    The errors are e = predicted - true. In the order of `COUNT_ERRORS`: mean of |e| (lower is better); mean
    of e (0 is best); the limits of agreement, mean -+ 1.96 standard deviations of e (Bland and Altman 1986);
    ICC(A,1).

    Parameters
    ----------
    predicted, true : (images,)
    weights : (rows, images)
        How often each image counts.

    Returns
    -------
    (rows, 5)
    """
    error = np.asarray(predicted, float) - np.asarray(true, float)
    n = weights.sum(1)
    middle = error.mean()  # near the mean of every row: keeps the squares small
    shift = (weights @ (error - middle)) / n
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = ((weights @ (error - middle) ** 2) - n * shift**2) / (n - 1)
    bias, limit = middle + shift, Z_95 * np.sqrt(np.maximum(variance, 0))
    mae = (weights @ np.abs(error)) / n
    return np.stack([mae, bias, bias - limit, bias + limit, icc_a1(predicted, true, weights)], axis=1)


def icc_a1(first: ArrayLike, second: ArrayLike, weights: FloatArray) -> FloatArray:
    """Return the intraclass correlation ICC(A,1) of two series under each row of weights.

    Two-way model, absolute agreement, single measures (McGraw and Wong 1996): with n images and k = 2 series,
    ``(MSR - MSE) / (MSR + (k - 1) MSE + k (MSC - MSE) / n)``. At most 1, higher is better; NaN if all counts
    are equal.

    Parameters
    ----------
    first, second : (images,)
    weights : (rows, images)
        How often each image counts.

    Returns
    -------
    (rows,)

    Examples
    --------
    >>> icc_a1([1, 2, 3], [2, 3, 4], np.ones((1, 3))).round(3)
    array([0.667])
    """
    a, b = (np.asarray(each, float) for each in (first, second))
    middle, difference = (a + b) / 2 - ((a + b) / 2).mean(), a - b
    n = weights.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Sums of squares between images, between series, and the rest. With d = a - b each image has d^2 / 2
        # within it.
        rows = 2 * (weights @ middle**2 - (weights @ middle) ** 2 / n)
        columns = (weights @ difference) ** 2 / (2 * n)
        rest = weights @ difference**2 / 2 - columns
        msr, msc, mse = rows / (n - 1), columns, rest / (n - 1)
        return np.asarray((msr - mse) / (msr + mse + 2 * (msc - mse) / n), float)


def kappa(first: ArrayLike, second: ArrayLike, weights: FloatArray) -> FloatArray:
    """Return Cohen's kappa of two yes-or-no judgements under each row of weights.

    ``(observed - expected) / (1 - expected)`` agreement (Cohen 1960). At most 1, higher is better; NaN if
    both always say the same, since then chance agrees as well.

    Parameters
    ----------
    first, second : (images,) bool
    weights : (rows, images)
        How often each image counts.

    Returns
    -------
    (rows,)
    """
    a, b = np.asarray(first, bool), np.asarray(second, bool)
    n = weights.sum(1)
    observed, share_a, share_b = weights @ (a == b) / n, weights @ a / n, weights @ b / n
    expected = share_a * share_b + (1 - share_a) * (1 - share_b)
    with np.errstate(invalid="ignore"):
        return np.where(expected < 1, (observed - expected) / (1 - np.where(expected < 1, expected, 0)), np.nan)


@dataclass(frozen=True, eq=False)
class Agreement:
    """How two sets of points of the same images agree.

    Attributes
    ----------
    first_as_reference, second_as_reference : {"sensitivity", "precision", "fp_avg", "fn_avg", "f1"}
        The other set's figures when this one is the truth: two points in the plane of the FROC curve.
    kappa : on whether an image has any object
    icc : ICC(A,1) of the counts
    n_images, n_subjects, n_first, n_second : images, the subjects that the bootstrap draws, and points of each set
    conventions : with all choices
    """

    first_as_reference: dict[str, Figure]
    second_as_reference: dict[str, Figure]
    kappa: Figure
    icc: Figure
    n_images: int
    n_subjects: int
    n_first: int
    n_second: int
    conventions: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return everything JSON-ready: fractions 0-1, None for NaN, each figure with ``_sd`` and ``_ci95``."""
        sides = {name: flat(getattr(self, name)) for name in ("first_as_reference", "second_as_reference")}
        numbers = {name: getattr(self, name) for name in ("n_images", "n_subjects", "n_first", "n_second")}
        together = flat({"kappa": self.kappa, "icc": self.icc})
        return dict(json_ready({**sides, **together, **numbers, "conventions": self.conventions}))


def agree(first: Truth, second: Truth, conventions: Conventions) -> Agreement:
    """Compare two sets of points of the same images, by two raters or by one rater twice.

    All points of one set are matched to those of the other, each in turn being the reference, whose extents,
    spacing and subjects count. Without a point in either set nothing is defined but the means of 0, and a warning
    says so.

    Raises
    ------
    InputError
        The sets are of no images, or of different numbers of images or dimensions.
    """
    if first.n_images != second.n_images:
        raise InputError(f"{first.n_images} images of the first, {second.n_images} of the second: expected the same")
    if not first.n_images:
        raise InputError("no images: there is nothing to compare")
    if not len(first.points) and not len(second.points):
        warnings.warn("no point in either set: their agreement is not defined (NaN)", RuntimeWarning, stacklevel=2)
    chosen = replace(conventions, operating_point="all", operating_value=None)
    points = [
        operating_point(detections_of_truth(other, reference), reference, chosen)
        for reference, other in ((first, second), (second, first))
    ]

    def statistic(weights: FloatArray) -> FloatArray:
        both = [
            kappa(first.counts > 0, second.counts > 0, weights),
            icc_a1(first.counts, second.counts, weights),
        ]
        return np.column_stack([*(operating_figures(point, weights, chosen.averaging) for point in points), *both])

    *figures, of_presence, of_counts = bootstrap(statistic, first.subject, chosen).figures()
    return Agreement(
        dict(zip(FIGURES, figures[: len(FIGURES)], strict=True)),
        dict(zip(FIGURES, figures[len(FIGURES) :], strict=True)),
        of_presence,
        of_counts,
        first.n_images,
        len(np.unique(first.subject)),
        len(first.points),
        len(second.points),
        {**chosen.describe(curve=False), "slice_axis": first.slice_axis},
    )
