"""Tests between methods, by hand, against scipy, and on methods that are alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.evaluation import oracle
from tests.evaluation.scenes import built
from weakspot.errors import InputError
from weakspot.evaluation import Conventions, compare, evaluate
from weakspot.evaluation.compare import _marked
from weakspot.evaluation.significance import holm, paired_bootstrap_p, wilcoxon_p


def test_the_p_value_by_hand():
    # d = 2; of the deviations from it, -3, 0, 1, 2.5 and -2, three are at least 2: (1 + 3) / (1 + 5).
    assert paired_bootstrap_p(2.0, np.array([-1, 2, 3, 4.5, 0])) == pytest.approx(4 / 6)
    assert paired_bootstrap_p(-2.0, -np.array([-1, 2, 3, 4.5, 0])) == pytest.approx(4 / 6)
    assert paired_bootstrap_p(0.0, np.array([0.1, -0.2])) == 1
    assert paired_bootstrap_p(5.0, np.full(999, 5.0)) == pytest.approx(1 / 1000)
    assert np.isnan(paired_bootstrap_p(np.nan, np.ones(3)))
    assert np.isnan(paired_bootstrap_p(1.0, np.zeros(0)))
    assert paired_bootstrap_p(1.0, np.array([1, np.nan])) == 0.5


def shifted_scenes():
    """Give two methods' scenes, alike but for one more hit of the first in 12 of 60 images of very different ease."""
    first, second = [], []
    for i in range(60):
        objects = [(0.0, 20.0 * j) for j in range(10)]
        hits = i % 10
        for scene, more in ((first, int(i % 5 == 0)), (second, 0)):
            found = objects[: hits + more]
            scene.append((objects, found, [1.0 - 0.01 * j for j in range(len(found))]))
    return first, second


def check_pairing(p_value):
    """Fail unless a function (first, second, truth) -> p sees the small difference that is the same in every draw."""
    (first, truth), (second, _) = (built(scene) for scene in shifted_scenes())
    assert p_value(first, second, truth) < 0.01


def test_resamples_are_paired():
    check_pairing(lambda a, b, truth: compare({"a": a, "b": b}, truth).tests["fauc"].p[0, 1])


def test_unpaired_resampling_is_caught():
    def unpaired(first, second, truth):
        one, other = (evaluate(each, truth, Conventions(seed=s)) for each, s in ((first, 0), (second, 1)))
        return paired_bootstrap_p(one.fauc.value - other.fauc.value, one.fauc_resampled - other.fauc_resampled)

    with pytest.raises(AssertionError):
        check_pairing(unpaired)


def test_methods_that_are_alike_differ_significantly_as_often_as_said():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        difference = rng.normal(size=40)
        resampled = rng.choice(difference, (400, 40)).mean(1)
        found.append(paired_bootstrap_p(difference.mean(), resampled))
    # 5 % of 200 are 10, with a standard deviation of 3.
    assert 3 <= np.sum(np.array(found) < 0.05) <= 20


def test_wilcoxon_equals_scipy():
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 5, (2, 60)) / 4
    expected = stats.wilcoxon(first, second).pvalue
    assert wilcoxon_p(first, second, np.arange(60)) == pytest.approx(expected)
    assert wilcoxon_p(second, first, np.arange(60)) == pytest.approx(expected)
    with_gaps = np.append(first, [np.nan, 1.0]), np.append(second, [0.5, np.nan])
    assert wilcoxon_p(*with_gaps, np.arange(62)) == pytest.approx(expected)


def test_wilcoxon_is_of_subjects():
    # Images repeated within their subject tell nothing new.
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 5, (2, 12)) / 3
    once = wilcoxon_p(first, second, np.arange(12))
    assert wilcoxon_p(np.tile(first, 5), np.tile(second, 5), np.tile(np.arange(12), 5)) == pytest.approx(once)


def test_wilcoxon_at_its_ends():
    assert wilcoxon_p([1, 1], [1, 1], np.arange(2)) == 1
    assert np.isnan(wilcoxon_p([np.nan, 1], [1, np.nan], np.arange(2)))
    assert np.isnan(wilcoxon_p([1, 2, 3], [0, 0, 0], np.zeros(3, int)))  # of one subject
    assert np.isnan(wilcoxon_p([1, 2, np.nan], [0, 0, 0], np.array([0, 0, 1])))
    # Five differences of one sign, exactly: 2 / 2^5.
    assert wilcoxon_p([1, 2, 3, 4, 5], np.zeros(5), np.arange(5)) == pytest.approx(1 / 16)


def test_holm_by_hand():
    # Sorted .01, .02, .03, .5: 4 * .01, 3 * .02, max(.06, 2 * .03), .5.
    np.testing.assert_allclose(holm([0.5, 0.01, 0.03, 0.02]), [0.5, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1, 1])
    np.testing.assert_array_equal(holm([0.04, np.nan, 0.03]), [0.06, np.nan, 0.06])
    assert holm([]).shape == (0,)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_rule_rejects(p):
    """Go down the sorted values, reject while p <= alpha / (number left), stop at the first that is not."""
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for i, place in enumerate(sorted(range(len(p)), key=lambda j: p[j])):
            if p[place] > alpha / (len(p) - i) + 1e-15:
                break
            rejected.add(place)
        assert set(np.flatnonzero(holm(p) <= alpha + 1e-13).tolist()) == rejected


def test_compare():
    (a, truth), (b, _) = (built(scene) for scene in shifted_scenes())
    poor, _ = built([(objects, found[:1], scores[:1]) for objects, found, scores in shifted_scenes()[1]])
    found = compare({"b": b, "a": a, "poor": poor}, truth, Conventions(resamples=500))
    fauc = found.tests["fauc"]
    values = [found.evaluations[name].fauc.value for name in ("b", "a", "poor")]
    np.testing.assert_allclose(fauc.difference, np.subtract.outer(values, values))
    np.testing.assert_allclose(fauc.p, fauc.p.T)
    assert np.isnan(np.diag(fauc.p)).all()
    pairs = np.triu_indices(3, 1)
    np.testing.assert_allclose(fauc.p_holm[pairs], holm(fauc.p[pairs]))
    assert fauc.marked.tolist() == [False, True, False]
    assert found.tests["fp_avg"].marked.all()  # none has a false positive
    assert (found.tests["fp_avg"].p[pairs] == 1).all()
    assert found.tests["fn_avg"].marked.tolist() == [False, True, False]
    per_image = {name: e.point.per_image() for name, e in found.evaluations.items()}
    expected = stats.wilcoxon(per_image["a"]["sensitivity"], per_image["poor"]["sensitivity"]).pvalue
    assert found.tests["sensitivity"].p[1, 2] == pytest.approx(expected)
    assert found.evaluations["a"].fauc == evaluate(a, truth, Conventions(resamples=500)).fauc
    assert found.to_dict()["tests"]["fauc"]["marked"] == [False, True, False]
    assert found.to_dict()["order"] == ["b", "a", "poor"]


def test_the_same_method_twice_is_as_good():
    detections, truth = built(oracle.FIVE)
    found = compare({"one": detections, "other": detections}, truth, Conventions(radius=2))
    for tests in found.tests.values():
        assert tests.p[0, 1] == tests.p_holm[0, 1] == 1
        assert tests.marked.all()


def test_comparisons_that_cannot_be_made():
    detections, truth = built(oracle.FIVE)
    counted, _ = built(oracle.FIVE, [1, 2, 3, 4, 5])
    with pytest.raises(InputError, match="at least two"):
        compare({"one": detections}, truth)
    with pytest.raises(InputError, match="counts of two only"):
        compare({"one": detections, "two": counted}, truth)
    compare({"one": detections, "two": counted}, truth, Conventions(operating_point="all", resamples=10))


def check_untested(marked_of):
    """Fail unless of methods that no test has told apart the best is marked alone, and equal ones together."""
    untested = np.full((3, 3), np.nan)
    assert marked_of(np.array([0.9, 0.8, 0.9]), untested, True).tolist() == [True, False, True]
    assert marked_of(np.array([0.9, 0.8, 0.9]), untested, False).tolist() == [False, True, False]


def test_what_was_not_tested_is_not_called_as_good():
    check_untested(_marked)
    with pytest.raises(AssertionError):  # what is not significant where there is no test
        check_untested(lambda values, p, more: ~(p[values == values.max()] < 0.05).any(0))
    first, second = shifted_scenes()
    (a, truth), (b, _) = (built(scene, subjects=["s"] * 60) for scene in (first, second))
    with pytest.warns(RuntimeWarning, match="no tests"):
        found = compare({"a": a, "b": b}, truth)
    for measure in ("fauc", "sensitivity", "fn_avg"):
        assert np.isnan(found.tests[measure].p_holm).all()
        assert found.tests[measure].marked.tolist() == [True, False]
    plain = compare({"a": a, "b": b}, built(first)[1], Conventions(resamples=0))
    assert plain.tests["fauc"].marked.tolist() == [True, False]
    assert plain.tests["sensitivity"].p[0, 1] < 0.05


def test_without_objects_nothing_is_marked():
    detections, truth = built([([], [(0, 0)], [1]), ([], [], [])])
    with pytest.warns(RuntimeWarning, match="no object"):
        found = compare({"one": detections, "other": detections}, truth)
    assert not found.tests["fauc"].marked.any()
    assert found.tests["fp_avg"].marked.all()
