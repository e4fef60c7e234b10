"""Counts against counts, and raters against each other."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.scenes import built
from weakspot.errors import InputError
from weakspot.evaluation import Conventions, agree, truth_of
from weakspot.evaluation.agreement import COUNT_ERRORS, count_errors, icc_a1, kappa


def slow_icc(x):
    """Give ICC(A,1) from the two-way analysis of variance, sum by sum; x is (images, raters)."""
    n, k = x.shape
    grand = x.mean()
    between_rows = sum(k * (x[i].mean() - grand) ** 2 for i in range(n))
    between_columns = sum(n * (x[:, j].mean() - grand) ** 2 for j in range(k))
    rest = sum((x[i, j] - x[i].mean() - x[:, j].mean() + grand) ** 2 for i in range(n) for j in range(k))
    msr, msc, mse = between_rows / (n - 1), between_columns / (k - 1), rest / ((n - 1) * (k - 1))
    return (msr - mse) / (msr + (k - 1) * mse + k / n * (msc - mse))


@given(st.integers(0, 100_000))
@settings(deadline=None)
def test_weighted_figures_are_those_of_repeated_images(seed):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 9, 12)
    predicted = true + rng.normal(0.5, 2, 12)
    weights = rng.multinomial(12, np.full(12, 1 / 12), size=3)
    found = count_errors(predicted, true, weights.astype(float))
    kappas = kappa(predicted > 2, true > 2, weights.astype(float))
    for row, figures, agreement in zip(weights, found, kappas, strict=True):
        a, b = np.repeat(predicted, row), np.repeat(true, row)
        e = a - b
        limits = e.mean() + np.array([-1.96, 1.96]) * e.std(ddof=1)
        np.testing.assert_allclose(
            figures, [np.abs(e).mean(), e.mean(), *limits, slow_icc(np.stack([a, b], axis=1))], atol=1e-9
        )
        yes = [(a > 2).mean(), (b > 2).mean()]
        expected = np.prod(yes) + np.prod(np.subtract(1, yes))
        if expected < 1:
            observed = np.mean((a > 2) == (b > 2))
            assert agreement == pytest.approx((observed - expected) / (1 - expected))
        else:
            assert np.isnan(agreement)


def test_counts_by_hand():
    # Errors 1, 1, 1: no spread. Between images: means 1.5, 2.5, 3.5, see the docstring of icc_a1.
    found = dict(zip(COUNT_ERRORS, count_errors([2, 3, 4], [1, 2, 3], np.ones((1, 3)))[0], strict=True))
    assert found == pytest.approx({"mae": 1, "bias": 1, "limit_low": 1, "limit_high": 1, "icc": 2 / 3})
    # Errors 2 and -2: mean 0, standard deviation sqrt(8).
    found = dict(zip(COUNT_ERRORS, count_errors([3, 1], [1, 3], np.ones((1, 2)))[0], strict=True))
    assert found["mae"] == 2
    assert (found["limit_low"], found["limit_high"]) == pytest.approx((-1.96 * 8**0.5, 1.96 * 8**0.5))
    assert icc_a1([1, 5, 9], [1, 5, 9], np.ones((1, 3))) == pytest.approx(1)
    assert np.isnan(icc_a1([2, 2], [2, 2], np.ones((1, 2)))).all()


def test_kappa_by_hand():
    # Both yes 20, only first 5, only second 10, none 15: observed .7, expected .5 * .6 + .5 * .4 = .5.
    first = [True] * 25 + [False] * 25
    second = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    assert kappa(first, second, np.ones((1, 50))) == pytest.approx(0.4)
    assert np.isnan(kappa([True], [True], np.ones((1, 1)))).all()


FIRST = [[[0, 0], [0, 10]], [[0, 0]], [], [[0, 5]]]
SECOND = [[[0, 1]], [[0, 0], [0, 30]], [], []]


def test_raters_by_hand():
    # Radius 2. Matched: 0 - 1 in the first image, 0 - 0 in the second.
    # The first as reference: 1/2, 1/1, -, 0/1 found, false only 30; the second: 1/1, 1/2 found, false 10 and 5.
    found = agree(truth_of(FIRST), truth_of(SECOND), Conventions(radius=2, resamples=50))
    one, other = found.first_as_reference, found.second_as_reference
    assert (one["sensitivity"].value, one["fp_avg"].value) == pytest.approx((1 / 2, 1 / 4))
    assert (other["sensitivity"].value, other["fp_avg"].value) == pytest.approx((3 / 4, 2 / 4))
    assert (one["fn_avg"].value, other["fn_avg"].value) == (other["fp_avg"].value, one["fp_avg"].value)
    # Present: yes yes no yes against yes yes no no: observed 3/4, expected 3/4 * 1/2 + 1/4 * 1/2 = 1/2.
    assert found.kappa.value == pytest.approx(0.5)
    assert found.icc.value == pytest.approx(slow_icc(np.array([[2, 1], [1, 2], [0, 0], [1, 0]])))
    assert (found.n_images, found.n_first, found.n_second) == (4, 4, 3)
    assert one["sensitivity"].ci95[0] <= one["sensitivity"].value <= one["sensitivity"].ci95[1]
    content = found.to_dict()
    json.dumps(content, allow_nan=False)
    assert content["first_as_reference"]["fp_avg"] == 0.25
    assert content["conventions"]["operating_point"] == "all"
    pooled = agree(truth_of(FIRST), truth_of(SECOND), Conventions(radius=2, averaging="object", resamples=0))
    assert pooled.first_as_reference["sensitivity"].value == 2 / 4
    assert pooled.second_as_reference["sensitivity"].value == 2 / 3


def test_changing_places_changes_the_reference():
    one, other = (agree(truth_of(a), truth_of(b), Conventions(radius=2)) for a, b in ((FIRST, SECOND), (SECOND, FIRST)))
    assert one.first_as_reference == other.second_as_reference
    assert one.icc.value == pytest.approx(other.icc.value)


def test_a_rater_agrees_with_himself():
    found = agree(truth_of(FIRST), truth_of(FIRST), Conventions(radius=0, resamples=0))
    for figures in (found.first_as_reference, found.second_as_reference):
        assert [figures[name].value for name in ("sensitivity", "precision", "fp_avg", "fn_avg", "f1")] == [
            1,
            1,
            0,
            0,
            1,
        ]
    assert found.kappa.value == found.icc.value == 1


def test_nothing_in_either_set():
    empty = truth_of([[], [], []])
    with pytest.warns(RuntimeWarning, match="no point in either set"):
        found = agree(empty, empty, Conventions(radius=2, resamples=20)).to_dict()
    json.dumps(found, allow_nan=False)
    assert [found["kappa"], found["icc"], found["first_as_reference"]["sensitivity"]] == [None] * 3
    assert found["first_as_reference"]["fp_avg"] == 0
    one_sided = agree(empty, truth_of([[[1, 1]], [], []]), Conventions(radius=2, resamples=0))
    assert np.isnan(one_sided.first_as_reference["sensitivity"].value)
    assert one_sided.second_as_reference["sensitivity"].value == 0


def test_subjects_and_conventions_are_named():
    subjects = ["s", "s", "t", "t"]
    found = agree(truth_of(FIRST, subjects=subjects), truth_of(SECOND, subjects=subjects), Conventions(radius=2))
    assert found.n_subjects == 2
    assert {"hit", "averaging", "interval", "operating_point"} <= set(found.conventions)
    curves = {"selection", "max_fp", "rates", "curve", "threshold_at_rate"}
    assert not curves & {*found.conventions, *found.conventions["meaning"]}


def test_sets_that_do_not_fit():
    _, three = built([([(0, 0)], [], [])] * 3)
    with pytest.raises(InputError, match="4 images of the first, 3 of the second"):
        agree(truth_of(FIRST), three, Conventions())
    with pytest.raises(InputError, match="no images"):
        agree(truth_of([]), truth_of([]), Conventions())
    with pytest.raises(InputError, match="3D against points in 2D"):
        agree(truth_of([[[0, 0]]]), truth_of([[[0, 0, 0]]]), Conventions())
