"""What is kept at an operating point, and its figures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation import oracle
from tests.evaluation.scenes import built
from weakspot.errors import InputError
from weakspot.evaluation import Conventions
from weakspot.evaluation.operating_point import FIGURES, operating_figures, operating_point, whole_counts

COUNTS = [1.6, 0.5, 0.4, -0.7, 2.5]  # of the images A to E: 2, 1, 0, 0 and 3 are kept


def figures(counts=None, averaging="image", **conventions):
    point = operating_point(*built(oracle.FIVE, counts), Conventions(radius=2, **conventions))
    return dict(zip(FIGURES, operating_figures(point, np.ones((1, 5)), averaging)[0], strict=True))


def test_the_predicted_count_by_hand():
    # A: 10, 21, two hits. B: 12, a hit. E: 11, 30 and 8, two hits and one false.
    point = operating_point(*built(oracle.FIVE, COUNTS), Conventions(radius=2))
    columns = point.per_image()
    assert columns["kept"].tolist() == [2, 1, 0, 0, 3]
    assert columns["tp"].tolist() == [2, 1, 0, 0, 2]
    assert columns["fp"].tolist() == [0, 0, 0, 0, 1]
    assert columns["fn"].tolist() == [0, 0, 0, 0, 0]
    assert columns["objects"].tolist() == [2, 1, 0, 0, 2]
    np.testing.assert_array_equal(columns["sensitivity"], [1, 1, np.nan, np.nan, 1])
    np.testing.assert_array_equal(columns["precision"], [1, 1, np.nan, np.nan, 2 / 3])
    np.testing.assert_array_equal(columns["f1"], [1, 1, np.nan, np.nan, 4 / 5])
    np.testing.assert_allclose(columns["count_error"], [-0.4, -0.5, 0.4, -0.7, 0.5])
    # Averaged over the images where they are defined, they are the figures of all.
    for name in ("sensitivity", "precision", "f1"):
        assert np.nanmean(columns[name]) == pytest.approx(figures(COUNTS)[name])
    # Precision is defined in A, B and E; F1 of E is 2 * 2 / (2 * 2 + 1).
    expected = {"sensitivity": 1, "precision": 8 / 9, "fp_avg": 1 / 5, "fn_avg": 0, "f1": (1 + 1 + 4 / 5) / 3}
    assert figures(COUNTS) == pytest.approx(expected)
    assert figures(COUNTS, operating_point="count") == pytest.approx(expected)
    pooled = {"sensitivity": 1, "precision": 5 / 6, "fp_avg": 1 / 5, "fn_avg": 0, "f1": 10 / 11}
    assert figures(COUNTS, "object") == pytest.approx(pooled)


def test_other_operating_points_by_hand():
    # The best of each: hits in A, B and E (11 comes before 30 of the same score), C is false; A and E miss one each.
    best = {"sensitivity": 2 / 3, "precision": 3 / 4, "fp_avg": 1 / 5, "fn_avg": 2 / 5}
    best["f1"] = (2 / 3 + 1 + 0 + 2 / 3) / 4
    assert figures(operating_point="top_k", operating_value=1) == pytest.approx(best)
    # From .6 on: A 10, B 12, C 5, E 11 and 30.
    found = figures(operating_point="threshold", operating_value=0.6)
    assert (found["sensitivity"], found["fp_avg"], found["fn_avg"]) == pytest.approx((2 / 3, 2 / 5, 2 / 5))
    # Without counts everything is kept: hits 2, 1, 2 and the false ones of B, C, E.
    found = figures()
    assert (found["sensitivity"], found["fp_avg"], found["fn_avg"]) == pytest.approx((1, 3 / 5, 0))
    assert figures(operating_point="all") == found


def test_nothing_kept():
    found = figures(operating_point="top_k", operating_value=0)
    assert (found["sensitivity"], found["fp_avg"], found["fn_avg"], found["f1"]) == (0, 0, 1, 0)
    assert np.isnan(found["precision"])


@given(st.integers(0, 100_000), st.sampled_from(list(oracle.RULES)), st.sampled_from(["threshold", "top_k"]))
@settings(max_examples=50, deadline=None)
def test_an_operating_point_lies_on_the_curve(seed, rule, selection):
    scene = oracle.random_scene(seed, step=0.0)
    detections, truth = built(scene)
    for fp, sensitivity, value in oracle.curve(scene, 2.0, rule, selection=selection)[1:]:
        conventions = Conventions(radius=2, matching=rule, operating_point=selection, operating_value=value)
        point = operating_point(detections, truth, conventions)
        found = operating_figures(point, np.ones((1, truth.n_images)), "image")[0]
        np.testing.assert_allclose([found[2], found[0]], [fp, sensitivity])


def test_rounding():
    counts = [-3, -0.5, 0, 0.49, 0.5, 1.5, 2.5, 2.4999, 7]
    assert whole_counts(counts).tolist() == [0, 0, 0, 0, 1, 2, 3, 2, 7]
    assert whole_counts([1e30, -1e30]).tolist() == [2**53, 0]


def test_more_than_there_are_keeps_all():
    assert figures([1e14] * 5, operating_point="count") == figures()
    for k in (10**30, 10**400, 1e300):
        assert figures(operating_point="top_k", operating_value=k) == figures()
    assert "count_error" not in operating_point(*built(oracle.FIVE), Conventions(radius=2)).per_image()


def test_counts_that_are_needed():
    with pytest.raises(InputError, match="needs predicted counts"):
        figures(operating_point="count")
