"""The curve and its area, against the oracle and by the properties that every curve has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation import oracle
from tests.evaluation.scenes import built
from tests.evaluation.test_oracle import check_by_hand
from weakspot.evaluation import Conventions
from weakspot.evaluation.froc import Curve, froc, resampled_figures
from weakspot.evaluation.sweep import sweep

SEEDS = st.integers(0, 100_000)
RULES = st.sampled_from(list(oracle.RULES))
AVERAGING = st.sampled_from(["image", "object"])
SELECTION = st.sampled_from(["threshold", "top_k"])


def curve_of(scene, radius=2.0, averaging="image", **conventions):
    detections, truth = built(scene)
    return froc(sweep(detections, truth, Conventions(radius=radius, **conventions)), averaging)


def points(curve):
    return list(zip(curve.fp.tolist(), curve.sensitivity.tolist(), curve.threshold.tolist(), strict=True))


def assert_same(first, second):
    for name in ("fp", "sensitivity", "threshold"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), err_msg=name)


@given(SEEDS, RULES, AVERAGING, SELECTION, st.sampled_from([1.0, 2.0, 3.5]))
@settings(max_examples=300, deadline=None)
def test_equals_matching_from_scratch_at_every_threshold(seed, rule, averaging, selection, radius):
    # On a grid of 1 assignments of equal length abound, of which the paper's rule may take any.
    scene = oracle.random_scene(seed, step=0.0 if rule == "paper" else 1.0)
    found = points(curve_of(scene, radius, averaging, matching=rule, selection=selection))
    expected = oracle.curve(scene, radius, rule, averaging, selection)
    np.testing.assert_allclose(found, expected)


def test_by_hand():
    check_by_hand(lambda scene, radius, averaging: points(curve_of(scene, radius, averaging)))
    for averaging, fauc in oracle.FIVE_FAUC.items():
        assert curve_of(oracle.FIVE, averaging=averaging).area(1) == pytest.approx(fauc)
    by_rank = curve_of(oracle.FIVE, selection="top_k")
    np.testing.assert_allclose(by_rank.fp, oracle.FIVE_TOP_K["fp"])
    np.testing.assert_allclose(by_rank.sensitivity, oracle.FIVE_TOP_K["image"])
    np.testing.assert_array_equal(by_rank.threshold, oracle.FIVE_TOP_K["threshold"])


@given(SEEDS, RULES, st.sampled_from([0.1, 0.5, 1.0, 2.0, 7.0]))
@settings(max_examples=100, deadline=None)
def test_area_and_reading(seed, rule, max_fp):
    curve = curve_of(oracle.random_scene(seed), matching=rule)
    expected = oracle.area(points(curve), max_fp)
    assert curve.area(max_fp) == pytest.approx(expected, nan_ok=True)
    rates = [0, 0.2, 0.25, 0.5, 0.75, 1, 3, 100]
    np.testing.assert_allclose(curve.read(rates), [oracle.read(points(curve), rate) for rate in rates])


def test_reading_by_hand():
    curve = Curve(*np.array([[0, 0, 1, 1, 2], [0, 0.2, 0.4, 0.6, 1], [np.inf, 0.9, 0.8, 0.7, 0.6]]))
    np.testing.assert_allclose(curve.read([0, 0.5, 1, 1.5, 2, 9]), [0.2, 0.3, 0.6, 0.8, 1, 1])
    assert curve.threshold_at([0, 0.5, 1, 1.5, 2, 9]).tolist() == [0.9, 0.9, 0.7, 0.7, 0.6, 0.6]
    # 1 * (0.2 + 0.4) / 2, and half of 1 * (0.6 + 1) / 2's first half: (0.6 + 0.8) / 2 * 0.5
    assert curve.area(1.5) == pytest.approx((0.3 + 0.35) / 1.5)
    assert curve.area(1) == pytest.approx(0.3)
    assert curve.area(4) == pytest.approx((0.3 + 0.8 + 2) / 4)


@given(SEEDS, RULES, AVERAGING, SELECTION)
@settings(max_examples=100, deadline=None)
def test_properties_of_every_curve(seed, rule, averaging, selection):
    scene = oracle.random_scene(seed, step=0.0)
    conventions = {"averaging": averaging, "matching": rule, "selection": selection}
    curve = curve_of(scene, **conventions)
    n_images, detections = len(scene), sum(len(image[1]) for image in scene)
    objects = sum(len(image[0]) for image in scene)

    assert (curve.fp[0], curve.threshold[0]) == (0, np.inf if selection == "threshold" else 0)
    assert (np.diff(curve.fp) >= 0).all()
    if objects:
        assert curve.sensitivity[0] == 0
        assert (curve.sensitivity <= 1).all()
        if rule != "paper":
            assert (np.diff(curve.sensitivity) >= 0).all()
        if averaging == "object":  # the last point counts every detection
            assert curve.fp[-1] * n_images + curve.sensitivity[-1] * objects == pytest.approx(detections)
    else:
        assert np.isnan(curve.sensitivity).all()
        assert curve.fp[-1] * n_images == pytest.approx(detections)

    order = np.random.default_rng(seed).permutation(n_images)
    assert_same(curve_of([scene[i] for i in order], **conventions), curve)
    assert_same(curve_of(scene * 2, **conventions), curve)

    risen = curve_of([(o, d, [s**3 + 5 * s - 7 for s in scores]) for o, d, scores in scene], **conventions)
    np.testing.assert_array_equal(risen.fp, curve.fp)
    np.testing.assert_array_equal(risen.sensitivity, curve.sensitivity)

    if rule != "paper":  # whose assignment a far detection can shift
        extra = curve_of([(o, [*d, (900.0, i)], [*s, -5.0]) for i, (o, d, s) in enumerate(scene)], **conventions)
        if selection == "threshold":
            np.testing.assert_allclose(extra.fp[:-1], curve.fp)
            np.testing.assert_array_equal(extra.sensitivity[:-1], curve.sensitivity)
            assert extra.fp[-1] == pytest.approx(curve.fp[-1] + 1)


@given(SEEDS, st.sampled_from(["gated", "greedy"]))
@settings(max_examples=50, deadline=None)
def test_the_order_of_equal_scores_does_not_matter(seed, rule):
    # Under `greedy` only pairs of equal score and distance are taken in the order given.
    scene = oracle.random_scene(seed, levels=2, step=0.0 if rule == "greedy" else 1.0)
    rng = np.random.default_rng(seed)
    mixed = []
    for objects, detections, scores in scene:
        order = rng.permutation(len(scores))
        mixed.append((objects, [detections[i] for i in order], [scores[i] for i in order]))
    assert_same(curve_of(mixed, matching=rule), curve_of(scene, matching=rule))


def test_all_of_one_score_are_one_point():
    curve = curve_of([([(0, 0)], [(0, 1), (0, 9)], [1, 1]), ([], [(0, 0)], [1])])
    assert points(curve) == [(0, 0, np.inf), (1, 1, 1)]


def test_no_detections_and_no_objects():
    assert points(curve_of([([(0, 0)], [], []), ([], [], [])])) == [(0, 0, np.inf)]
    assert curve_of([([(0, 0)], [], [])]).area(5) == 0
    without = curve_of([([], [(0, 0)], [1]), ([], [], [])])
    assert without.fp.tolist() == [0, 0.5]
    assert np.isnan(without.sensitivity).all()
    assert np.isnan(without.area(5))


def test_a_long_chain_of_matches_is_shifted_to_its_end():
    # Detection i reaches objects i and i + 1 and takes i; the last reaches object 0 only, and all must move on by one.
    n = 3000
    objects = [(0.0, float(i)) for i in range(n + 1)]
    found = [(0.0, i + 0.4) for i in range(n)]
    scene = [(objects, [*found, (0.0, -0.6)], [*range(2 * n, n, -1), 0])]
    curve = curve_of(scene, 0.6, "object")
    assert curve.sensitivity[-1] * (n + 1) == pytest.approx(n + 1)
    assert curve.fp[-1] == 0


@given(SEEDS, RULES, AVERAGING, SELECTION)
@settings(max_examples=50, deadline=None)
def test_weights_are_repetitions_of_images(seed, rule, averaging, selection):
    rng = np.random.default_rng(seed)
    scene = oracle.random_scene(seed, images=6, step=0.0)
    conventions = Conventions(radius=2, matching=rule, selection=selection)
    weights = rng.multinomial(6, np.full(6, 1 / 6), size=5).astype(float)
    rates = (0.25, 1.0, 2.0)
    with np.errstate(all="raise"):  # nothing warns, whatever the resample lacks
        figures = resampled_figures(sweep(*built(scene), conventions), weights, averaging, 0.7, rates)
    for row, found in zip(weights.astype(int), figures, strict=True):
        drawn = [image for image, times in zip(scene, row, strict=True) for _ in range(times)]
        again = froc(sweep(*built(drawn), conventions), averaging)
        np.testing.assert_allclose(found, [again.area(0.7), *again.read(rates)])


def test_resamples_that_need_more_than_the_head_of_the_sweep():
    # Image 0 has all false positives, so that a resample without it goes on to its end.
    scene = [([(0, 0)], [(50.0, float(i)) for i in range(100)], list(range(200, 100, -1)))]
    scene += [([(0, 0)], [(0, 0)], [1])] * 9
    weights = np.ones((2, 10))
    weights[1, 0] = 0
    found = resampled_figures(sweep(*built(scene), Conventions(radius=2)), weights, "image", 1, (1.0,))
    np.testing.assert_allclose(found, [[0, 0], [1, 1]])
