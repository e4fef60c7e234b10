"""Matching, FROC and operating point: cases worked by hand, a slow oracle, and wrong variants told apart."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakspot.errors import InputError
from weakspot.evaluation.evaluate import evaluate
from weakspot.evaluation.froc import area, curves, froc, increments
from weakspot.evaluation.matching import Reach, Scene, distances, gated, scene_of
from weakspot.evaluation.operating_point import rounded, summary, tally

NEAR = Reach(radius=1.0)


def line(points: list[float], scores: list[float], objects: list[float]) -> Scene:
    """Return a scene on a line: 1D points make matching easy to work out by hand."""
    return scene_of(*(np.array(each, float).reshape(-1, 1) for each in (points,)), scores, np.reshape(objects, (-1, 1)))


# Five images. Hits as candidates are added, from the highest score down:
#   A: objects 0, 10; 0.9 at 0 (hit), 0.5 at 0.5 (nothing left in reach: false), 0.3 at 10 (hit)
#   B: object 5;      0.8 at 20 (false), 0.5 at 5 (hit)
#   C: no object;     0.5 at 3 (false)
#   D: object 7, no candidate
#   E: neither
FIVE = [
    line([0.5, 0, 10], [0.5, 0.9, 0.3], [0, 10]),
    line([20, 5], [0.8, 0.5], [5]),
    line([3], [0.5], []),
    line([], [], [7]),
    line([], [], []),
]
# Thresholds 0.9, 0.8, 0.5, 0.3; false positives 0, 1, 3, 3 over five images.
FP = [0, 0, 0.2, 0.6, 0.6]
# Mean over A, B, D: A has 1/2 after 0.9, all after 0.3; B has all after 0.5; D never. Pooled: of 4 objects.
BY_IMAGE = [0, 1 / 6, 1 / 6, (1 / 2 + 1) / 3, 2 / 3]
POOLED = [0, 1 / 4, 1 / 4, 2 / 4, 3 / 4]
# Trapezoids of BY_IMAGE up to 1 false positive: 0-0.2: 1/6 * 0.2; 0.2-0.6: (1/6 + 1/2) / 2 * 0.4; flat 2/3 on to 1.
AREA = 0.2 / 6 + 0.4 / 3 + 0.4 * 2 / 3


@pytest.mark.parametrize(("averaging", "sensitivity"), [("image", BY_IMAGE), ("object", POOLED)])
def test_five_images_by_hand(averaging: str, sensitivity: list[float]):
    curve = froc(increments(FIVE, NEAR), averaging)
    np.testing.assert_allclose(curve.fp, FP)
    np.testing.assert_allclose(curve.sensitivity, sensitivity)
    np.testing.assert_array_equal(curve.threshold, [np.inf, 0.9, 0.8, 0.5, 0.3])


def test_area_by_hand_and_wrong_readings_differ():
    assert area(np.array(FP), np.array(BY_IMAGE), 1.0) == pytest.approx(AREA)
    # Up to 0.4 the curve is cut between two points, at (0.4, 1/3).
    assert area(np.array(FP), np.array(BY_IMAGE), 0.4) == pytest.approx((0.2 / 6 + 0.2 * (1 / 6 + 1 / 3) / 2) / 0.4)
    last_dropped = area(np.array(FP[:-1]), np.array(BY_IMAGE[:-1]), 1.0)
    empty_forgotten = area(np.array(FP) * 5 / 4, np.array(BY_IMAGE), 1.0)
    for wrong in (last_dropped, empty_forgotten):
        assert wrong != pytest.approx(AREA)


def test_the_matching_changes_as_candidates_come():
    # The first candidate reaches both objects and is nearer to the second; the next reaches the second alone. A
    # matching made once, by least distance or first come, first served, leaves one object without its candidate.
    scene = line([0.9, 1.9], [0.9, 0.8], [0, 1])
    assert increments([scene], NEAR).hit.tolist() == [1, 1]
    assert gated(distances(scene, NEAR)).tolist() == [0, 1]


def test_a_hit_is_at_most_the_radius_away_and_extents_share_no_point():
    assert np.isfinite(distances(line([1.0], [1], [0]), NEAR)).all()
    assert not np.isfinite(distances(line([1.0 + 1e-9], [1], [0]), NEAR)).any()
    # Two cells of 28 pixels: indices 0 to 27 and 28 to 55, with centres 13.5 and 41.5.
    cells = np.array([[13.5], [41.5]])
    points = np.arange(-1.0, 57).reshape(-1, 1)
    scene = scene_of(points, np.zeros(len(points)), cells, np.full((2, 1), 28.0))
    within = np.isfinite(distances(scene, Reach()))
    assert within.sum(1).tolist() == [0] + [1] * 56 + [0]
    assert within[:, 0].sum() == within[:, 1].sum() == 28


def test_millimetres_respect_the_spacing():
    scene = scene_of([[0, 2]], [1], [[0, 0]], spacing_mm=np.array([1, 0.4]))
    assert distances(scene, Reach(1, in_mm=True)) == pytest.approx(np.array([[0.8]]))
    with pytest.raises(InputError, match="spacing"):
        distances(scene_of([[0, 2]], [1], [[0, 0]]), Reach(1, in_mm=True))


def largest(within: np.ndarray) -> int:
    """Return the size of the largest matching, by trying all ways of giving objects to detections."""
    n, m = within.shape
    if n > m:
        return largest(within.T)
    return max(
        (sum(bool(within[i, j]) for i, j in enumerate(way)) for way in itertools.permutations(range(m), n)), default=0
    )


coordinates = st.lists(st.integers(0, 6), max_size=5, unique=True)
scenes = st.builds(
    lambda points, objects, scores: line([p / 2 for p in points], scores[: len(points)], [o * 1.0 for o in objects]),
    coordinates,
    coordinates,
    st.lists(st.integers(1, 4).map(float), min_size=5, max_size=5),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(scenes, min_size=1, max_size=4), st.sampled_from(["image", "object"]))
def test_against_a_slow_oracle(given_scenes: list[Scene], averaging: str):
    thresholds = sorted({score for scene in given_scenes for score in scene.scores}, reverse=True)
    fp, sensitivity = [0.0], [0.0]
    for threshold in thresholds:
        hits, false = [], 0
        for scene in given_scenes:
            kept = scene.points[scene.scores >= threshold]
            hits.append(largest(np.abs(kept - scene.objects.T) <= 1))
            false += len(kept) - hits[-1]
        fp.append(false / len(given_scenes))
        pairs = [(hit, len(scene.objects)) for hit, scene in zip(hits, given_scenes, strict=True) if len(scene.objects)]
        if averaging == "image":
            sensitivity.append(sum(hit / n for hit, n in pairs) / max(len(pairs), 1))
        else:
            sensitivity.append(sum(hit for hit, _ in pairs) / max(sum(n for _, n in pairs), 1))
    found = increments(given_scenes, NEAR)
    if not found.objects.any():
        with pytest.warns(RuntimeWarning, match="no image has an object"):
            assert np.isnan(froc(found, averaging).sensitivity).all()
        return
    curve = froc(found, averaging)
    np.testing.assert_allclose(curve.fp, fp)
    np.testing.assert_allclose(curve.sensitivity, sensitivity)
    assert (np.diff(curve.fp) >= 0).all()
    assert (np.diff(curve.sensitivity) >= -1e-12).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(scenes, min_size=1, max_size=4))
def test_order_and_doubling_do_not_matter_and_weights_are_copies(given_scenes: list[Scene]):
    if not any(len(scene.objects) for scene in given_scenes):
        return
    one = froc(increments(given_scenes, NEAR))
    for other in (given_scenes[::-1], given_scenes * 2):
        curve = froc(increments(other, NEAR))
        np.testing.assert_allclose(curve.fp, one.fp)
        np.testing.assert_allclose(curve.sensitivity, one.sensitivity)
    weights = np.ones((1, len(given_scenes)))
    weights[0, 0] = 3
    copied = froc(increments([*given_scenes, given_scenes[0], given_scenes[0]], NEAR))
    fp, sensitivity = curves(increments(given_scenes, NEAR), weights, "image")
    np.testing.assert_allclose(fp[0], copied.fp)
    np.testing.assert_allclose(sensitivity[0], copied.sensitivity)


def test_operating_point_by_hand():
    # Predicted 2, 0.5 (rounds to 1), 0.4 (to 0), -3 (to 0), 9 (has none): A keeps 0.9 and 0.5, B keeps 0.8.
    numbers = rounded(np.array([2, 0.5, 0.4, -3, 9]))
    assert numbers.tolist() == [2, 1, 0, 0, 9]
    found = tally(FIVE, numbers, NEAR)
    assert found.hits.tolist() == [1, 0, 0, 0, 0]
    assert found.false.tolist() == [1, 1, 0, 0, 0]
    assert found.missed.tolist() == [1, 1, 0, 1, 0]
    assert summary(found, "image") == pytest.approx(
        {"sensitivity": 1 / 6, "precision": 1 / 3, "fp_avg": 2 / 5, "fn_avg": 3 / 5}
    )
    assert summary(found, "object")["sensitivity"] == pytest.approx(1 / 4)


def test_the_whole_evaluation_names_its_conventions_and_is_seeded():
    result = evaluate(FIVE, NEAR, 1.0, counts=np.array([2, 1, 0, 1, 0]), resamples=200)
    assert result["fauc"] == pytest.approx(AREA)
    low, high = result["fauc_ci95"]
    assert low <= AREA <= high
    assert (result["n_images"], result["n_objects"]) == (5, 4)
    assert result["count_mae"] == 0
    assert {"matching", "reach", "averaging", "selection", "max_fp", "interval", "operating_point"} == set(
        result["conventions"]
    )
    assert evaluate(FIVE, NEAR, 1.0, resamples=200)["fauc_ci95"] == [low, high]
    assert evaluate(FIVE, NEAR, 1.0, resamples=200, seed=1)["fauc_sd"] != result["fauc_sd"]


def test_without_objects_figures_are_nan():
    with pytest.warns(RuntimeWarning):
        result = evaluate(FIVE[2:3], NEAR, 1.0, resamples=5)
    assert np.isnan([result["fauc"], result["fauc_sd"], *result["fauc_ci95"]]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.0]], [1, 2], [[0.0]]), "one score each"),
        (([[np.nan]], [1], [[0.0]]), "detections: 1 values are NaN"),
        (([[0.0], [0.0]], [1, 2], [[0.0]]), "detections: 1 points are given twice"),
        (([[0.0]], [1], [[1.0], [1.0]]), "objects: 1 points are given twice"),
    ],
)
def test_bad_points_are_refused(arguments: tuple, message: str):
    with pytest.raises(InputError, match=message):
        scene_of(*arguments)


def test_bad_conventions_are_refused():
    with pytest.raises(InputError, match="radius"):
        Reach(-1)
    with pytest.raises(InputError, match="extents"):
        distances(FIVE[0], Reach())
    with pytest.raises(InputError, match="choose one of image, object"):
        froc(increments(FIVE, NEAR), "lesion")
    with pytest.raises(InputError, match="above 0"):
        area(np.zeros(1), np.zeros(1), 0)
