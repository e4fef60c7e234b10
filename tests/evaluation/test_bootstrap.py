"""Resampling and intervals, against scipy and by hand."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from weakspot.evaluation import Conventions
from weakspot.evaluation.bootstrap import Resampled, bootstrap, draw_weights, leave_out_weights

VALUES = np.random.default_rng(3).gamma(2.0, size=40)
EACH = np.arange(40)


def mean(weights):
    return (weights @ VALUES / weights.sum(1))[:, None]


def skewness(weights):
    total = weights.sum(1)
    m = weights @ VALUES / total
    moments = [(weights * (VALUES - m[:, None]) ** k).sum(1) / total for k in (2, 3)]
    return (moments[1] / moments[0] ** 1.5)[:, None]


def test_draws_are_of_whole_subjects():
    subject = np.array([2, 0, 0, 1, 2, 2])
    weights = np.concatenate(list(draw_weights(subject, 2000, 0)))
    assert weights.shape == (2000, 6)
    assert (weights[:, [0, 4]] == weights[:, [5, 5]]).all()
    assert (weights[:, 1] == weights[:, 2]).all()
    drawn = weights[:, [1, 3, 0]]
    assert (drawn.sum(1) == 3).all()
    # Binomial(3, 1/3) each: mean 1, variance 2/3.
    np.testing.assert_allclose(drawn.mean(0), 1, atol=0.06)
    np.testing.assert_allclose(drawn.var(0), 2 / 3, atol=0.06)
    left = np.concatenate(list(leave_out_weights(subject)))
    assert left.tolist() == [[1, 0, 0, 1, 1, 1], [1, 1, 1, 0, 1, 1], [0, 1, 1, 1, 0, 0]]


def test_chunks_do_not_change_the_draws(monkeypatch):
    whole = np.concatenate(list(draw_weights(EACH, 50, 1)))
    monkeypatch.setattr("weakspot.evaluation.bootstrap.WEIGHTS_AT_ONCE", 130)
    parts = list(draw_weights(EACH, 50, 1))
    assert len(parts) == 17
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(np.concatenate(list(leave_out_weights(EACH))), 1 - np.eye(40))


@pytest.mark.parametrize("statistic", [mean, skewness])
@pytest.mark.parametrize(("interval", "scipys"), [("percentile", "percentile"), ("bca", "BCa")])
def test_equals_scipy_on_the_same_resamples(statistic, interval, scipys):
    resampled = bootstrap(statistic, EACH, Conventions(interval=interval, resamples=500))
    (figure,) = resampled.figures()

    def of_sample(sample, axis=-1):
        if statistic is mean:
            return np.mean(sample, axis)
        return stats.skew(sample, axis)

    same = SimpleNamespace(bootstrap_distribution=resampled.resamples[:, 0])
    expected = stats.bootstrap(
        (VALUES,), of_sample, n_resamples=0, method=scipys, bootstrap_result=same, vectorized=True
    )
    assert figure.value == pytest.approx(of_sample(VALUES))
    assert figure.sd == pytest.approx(expected.standard_error)
    assert figure.ci95 == pytest.approx(tuple(expected.confidence_interval))


def test_resampling_itself_agrees_with_scipy():
    (figure,) = bootstrap(mean, EACH, Conventions(resamples=4000)).figures()
    scipys = stats.bootstrap((VALUES,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0))
    assert figure.sd == pytest.approx(scipys.standard_error, rel=0.05)
    assert figure.ci95 == pytest.approx(tuple(scipys.confidence_interval), rel=0.03)


def check_percentile(interval_of):
    """Fail unless a function resamples -> (low, high) gives the interval that holds the middle 95 %."""
    assert interval_of(np.arange(1001) / 1000) == pytest.approx((0.025, 0.975))


def test_the_interval_holds_95_percent():
    nothing = np.zeros((0, 1))
    check_percentile(lambda values: Resampled(np.array([0.5]), values[:, None], nothing).figures()[0].ci95)


def test_a_90_percent_interval_is_caught():
    with pytest.raises(AssertionError):
        check_percentile(lambda values: tuple(np.quantile(values, [0.05, 0.95])))


def test_seeds():
    first, again, other = (bootstrap(mean, EACH, Conventions(seed=s)).resamples for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_figures_that_do_not_vary_or_are_not_defined(interval):
    def statistic(weights):
        same, never = np.ones(len(weights)), np.full(len(weights), np.nan)
        sometimes = np.where(weights[:, 0] > 0, weights[:, 0], np.nan)
        return np.stack([same, never, sometimes], axis=1)

    same, never, sometimes = bootstrap(statistic, EACH, Conventions(interval=interval)).figures()
    assert same == (1, 0, (1, 1))
    assert np.isnan([never.value, never.sd, *never.ci95]).all()
    assert sometimes.ci95[0] == 1  # the resamples without it are left out
    assert sometimes.ci95[1] >= 2


@pytest.mark.parametrize(("subject", "resamples"), [(np.zeros(40, int), 100), (EACH, 0), (EACH, 1)])
def test_no_interval_without_resamples_or_subjects(subject, resamples):
    with pytest.warns(RuntimeWarning, match="one subject") if not subject.any() else nullcontext():
        (figure,) = bootstrap(mean, subject, Conventions(resamples=resamples, interval="bca")).figures()
    assert figure.value == pytest.approx(VALUES.mean())
    assert np.isnan([figure.sd, *figure.ci95]).all()
