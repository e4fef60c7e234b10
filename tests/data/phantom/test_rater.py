import dataclasses

import numpy as np
import pytest

from weakspot.data.phantom.rater import choose_spots, miss_probabilities, rate
from weakspot.data.phantom.settings import PhantomSettings

POINTS = np.array([[10.0, 10, 5], [30, 10, 5], [10, 30, 5], [30, 30, 5]])
SEEN = np.array([[1.0, 0.5], [2.0, 0.5], [2.0, 1.0], [2.0, 1.0]])


def rater(missed: float, added: float, count: float = 4.0):
    return dataclasses.replace(PhantomSettings().midbrain, missed=missed, added=added, count=count)


def test_thin_and_faint_ones_are_missed_first_and_the_share_is_kept():
    # weights 1 / (d^2 c): 2, 1/2, 1/4, 1/4; times 0.2 * 4 / 3
    np.testing.assert_allclose(miss_probabilities(*SEEN.T, 0.2), np.array([2, 0.5, 0.25, 0.25]) * 0.8 / 3)
    # 0.6 * 4 = 2.4: the first would be 1.6, so it is 1, and the others share 1.4
    np.testing.assert_allclose(miss_probabilities(*SEEN.T, 0.6), [1, 0.7, 0.35, 0.35])
    np.testing.assert_allclose(miss_probabilities(*SEEN.T, 1.0), 1)
    np.testing.assert_allclose(miss_probabilities(*SEEN.T, 0.0), 0)
    assert miss_probabilities(np.zeros(0), np.zeros(0), 0.5).shape == (0,)


@pytest.mark.parametrize("flat", [True, False])
def test_a_rater_without_faults_marks_every_one_where_it_is(flat):
    marked = rate(POINTS, SEEN, np.zeros((0, 3)), rater(0, 1), flat, np.random.default_rng(0))
    assert len(marked) == 4
    assert np.abs(marked - POINTS).max() < 4
    np.testing.assert_array_equal(marked, np.rint(marked))
    if flat:
        np.testing.assert_array_equal(marked[:, 2], 5)


def test_two_clicks_on_one_voxel_are_one():
    twins = np.repeat(POINTS[:1], 50, axis=0)  # so near each other that clicks fall together
    marked = rate(twins, np.repeat(SEEN[:1], 50, axis=0), np.zeros((0, 3)), rater(0, 1), True, np.random.default_rng(0))
    assert 1 < len(marked) < 50
    assert len(np.unique(marked, axis=0)) == len(marked)


def test_rates_over_many_ratings():
    rng = np.random.default_rng(0)
    spots = np.full((50, 3), 100.0)
    marked = [rate(POINTS, SEEN, spots, rater(0.3, 0.25), False, rng) for _ in range(2000)]
    kept = np.mean([(each[:, 0] < 60).sum() for each in marked]) / 4
    added = np.mean([(each[:, 0] > 60).sum() for each in marked])
    assert kept == pytest.approx(0.7, abs=0.03)  # standard error 0.005
    assert added == pytest.approx(1.0, abs=0.1)  # 0.25 * 4; standard error 0.02


def test_spots_keep_away_from_what_is_there():
    tempting = np.array([[10.0, 10, 6], [50, 50, 5]])
    spots = choose_spots(tempting, POINTS, POINTS, np.array([6, 6, 4]), np.random.default_rng(0))
    np.testing.assert_array_equal(spots, tempting[1:])
