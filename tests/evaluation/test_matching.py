"""One-to-one matching and what is within reach."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tests.evaluation import oracle
from tests.evaluation.scenes import built
from weakspot.errors import InputError
from weakspot.evaluation import Conventions, detections_of, truth_of
from weakspot.evaluation import reach as reach_module
from weakspot.evaluation.froc import froc
from weakspot.evaluation.matching import match
from weakspot.evaluation.reach import links
from weakspot.evaluation.sweep import sweep

SEEDS = st.integers(0, 100_000)


def pairs_of(scene, **conventions):
    """Match one image, and return the pairs (detection, object)."""
    detections, truth = built([scene])
    matched = match(detections, truth, Conventions(**conventions))
    return [(d, o) for d, o in enumerate(matched.tolist()) if o >= 0]


def total(scene, pairs):
    return sum(oracle.distance(scene[1][d], scene[0][o]) for d, o in pairs)


@given(SEEDS, st.sampled_from([1.0, 0.0]), st.sampled_from([0.0, 1.0, 2.0, 3.5]))
@settings(max_examples=200, deadline=None)
def test_gated_has_the_most_pairs_and_then_the_least_distance(seed, step, radius):
    (scene,) = oracle.random_scene(seed, images=1, step=step)
    found, expected = pairs_of(scene, radius=radius), oracle.gated(*scene, radius)
    assert len(found) == len(expected)
    assert total(scene, found) == pytest.approx(total(scene, expected))
    assert all(oracle.distance(scene[1][d], scene[0][o]) <= radius for d, o in found)


@given(SEEDS, st.sampled_from([1.0, 2.0, 3.5]))
@settings(max_examples=100, deadline=None)
def test_paper_has_the_least_distance_over_all_pairs(seed, radius):
    (scene,) = oracle.random_scene(seed, images=1, step=0.0)  # no two assignments of equal length
    assert pairs_of(scene, radius=radius, matching="paper") == sorted(oracle.paper(*scene, radius))


@given(SEEDS, st.sampled_from([1.0, 0.0]), st.sampled_from([1.0, 2.0, 3.5]))
@settings(max_examples=200, deadline=None)
def test_greedy_goes_by_score_then_by_distance(seed, step, radius):
    (scene,) = oracle.random_scene(seed, images=1, step=step)
    assert pairs_of(scene, radius=radius, matching="greedy") == sorted(oracle.greedy(*scene, radius))


def test_where_the_rules_differ():
    # Object 0 at 0 and 1 at 5; detection 0 at 4, 1 at 9. Least total distance is 4 - 5 and 9 - 0 or 4 - 0 and 9 - 5:
    # 1 + 9 against 4 + 4. Within 2 there is only 4 - 5, which the paper's rule has given away.
    scene = ([(0, 0), (0, 5)], [(0, 4), (0, 9)], [0.5, 0.4])
    assert pairs_of(scene, radius=2) == pairs_of(scene, radius=2, matching="greedy") == [(0, 1)]
    assert pairs_of(scene, radius=2, matching="paper") == []
    # 11 is nearer to 12, but then 14 has none: two pairs are better than one near one.
    scene = ([(0, 9), (0, 12)], [(0, 11), (0, 14)], [0.5, 0.4])
    assert pairs_of(scene, radius=2) == [(0, 0), (1, 1)]
    assert pairs_of(scene, radius=2, matching="greedy") == [(0, 1)]


def test_on_the_radius():
    scene = ([(0, 0)], [(3, 4)], [1])
    for rule, hits in (("gated", 1), ("greedy", 1), ("paper", 0)):
        assert len(pairs_of(scene, radius=5, matching=rule)) == hits
        assert len(pairs_of(scene, radius=4.999, matching=rule)) == 0
        assert len(pairs_of(scene, radius=5.001, matching=rule)) == 1
    assert pairs_of(([(1, 1)], [(1, 1)], [1]), radius=0) == [(0, 0)]


def test_a_radius_in_mm():
    truth = truth_of([[[0, 0, 0]], [[0, 0, 0]]], spacing_mm=[[1, 1, 5], [0.1, 0.1, 0.1]])
    # 2 mm and 5 mm away in the first image; in the second 3 * 0.1 mm, which is not exactly 0.3 in floating point.
    detections = detections_of([[[0, 2, 0], [0, 0, 1]], [[3, 0, 0]]], [[1, 2], [1]], truth)
    found = [match(detections, truth, Conventions(reach="radius_mm", radius=r)).tolist() for r in (0.3, 2, 5, 4.9)]
    assert found == [[-1, -1, 1], [0, -1, 1], [0, -1, 1], [0, -1, 1]]
    nearer = detections_of([[[0, 0, 1]], []], [[1], []], truth)
    assert match(nearer, truth, Conventions(reach="radius_mm", radius=5)).tolist() == [0]
    assert match(nearer, truth, Conventions(reach="radius_mm", radius=4.9)).tolist() == [-1]


@given(SEEDS, st.sampled_from(list(oracle.RULES)), st.integers(2, 60))
@settings(max_examples=150, deadline=None)
def test_radii_in_mm_and_spacing_equal_the_oracle_in_tenths(seed, rule, radius):
    # In tenths of a mm all coordinates are whole numbers, and the oracle's distances exact: those that lie on the
    # radius are in reach. Where equal distances may be shared out in several ways, points lie anywhere instead.
    scene = oracle.random_scene(seed, step=1.0 if rule == "gated" else 0.0, dims=3)
    spacings = np.random.default_rng(seed).integers(1, 31, (len(scene), 3))
    expected = oracle.curve(oracle.scaled(scene, spacings.tolist()), radius, rule)
    detections, truth = built(scene, spacing_mm=spacings / 10)
    conventions = Conventions(matching=rule, reach="radius_mm", radius=radius / 10)
    curve = froc(sweep(detections, truth, conventions))
    np.testing.assert_allclose(np.transpose([curve.fp, curve.sensitivity, curve.threshold]), expected)
    whole = match(detections, truth, conventions) >= 0
    assert whole.sum() == sum(
        len(oracle.RULES[rule](*image, radius)) for image in oracle.scaled(scene, spacings.tolist()) if image[0]
    )


def test_forgotten_or_exchanged_spacing_is_caught():
    # 2 voxels of 1 mm along k: 2 mm. In voxels of the first axis, 3 mm, they are 6 mm; without spacing the other
    # object, 1 voxel of 3 mm along i, would be in reach as well.
    scene = [([(0, 0, 0), (9, 9, 9)], [(0, 0, 2), (8, 9, 9)], [0.9, 0.8])]
    conventions = Conventions(reach="radius_mm", radius=2)

    def check(spacing):
        assert (match(*built(scene, spacing_mm=[spacing]), conventions) >= 0).tolist() == [True, False]

    check([3, 2, 1])
    for wrong in ([1, 1, 1], [1, 2, 3]):
        with pytest.raises(AssertionError):
            check(wrong)


def test_cells_side_by_side_share_no_point_and_leave_none_out():
    centres = np.array([[13.5 + 28 * i, 13.5 + 28 * j] for i, j in itertools.product(range(3), range(2))])
    truth = truth_of([centres], extents=[np.full(centres.shape, 28)])
    grid = np.array(list(itertools.product(np.arange(-0.5, 83.5, 0.5), np.arange(-0.5, 55.5, 0.5))))
    detections = detections_of([grid], [np.ones(len(grid))], truth)
    near = links(detections, truth, Conventions(reach="inside"))
    assert np.bincount(near.detection, minlength=len(grid)).tolist() == [1] * len(grid)
    whole = (grid == np.floor(grid)).all(1)
    rows = {int(grid[d][0]) for d, o in zip(near.detection, near.object, strict=True) if o == 0 and whole[d]}
    assert rows == set(range(28))
    outside = detections_of([[[-0.51, 3], [83.5, 3]]], [[1, 1]], truth)
    assert len(links(outside, truth, Conventions(reach="inside")).detection) == 0


def test_only_what_is_kept_takes_part():
    detections, truth = built(oracle.FIVE)
    first = match(detections, truth, Conventions(radius=2), detections.scores >= 0.6)
    #                        A: 10, 21  B: 12, 10  C   E: 11, 30, 8 (11 is as near to 10 as to 12)
    assert (first >= 0).tolist() == [True, False, True, False, False, True, False, False]
    # Of B's two the nearer one, and in E both, by 8 - 10 and 11 - 12.
    assert match(detections, truth, Conventions(radius=2)).tolist() == [0, 1, -1, 2, -1, 4, -1, 3]


def test_links_do_not_depend_on_the_chunks(monkeypatch):
    detections, truth = built(oracle.random_scene(7, images=20))
    whole = links(detections, truth, Conventions(radius=2))
    monkeypatch.setattr(reach_module, "PAIRS_AT_ONCE", 5)
    parts = links(detections, truth, Conventions(radius=2))
    for name in ("detection", "object", "distance"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    slow = [
        (d, o)
        for d, o in itertools.product(range(len(detections.image)), range(len(truth.image)))
        if detections.image[d] == truth.image[o]
        and np.linalg.norm(detections.points[d] - truth.points[o]) <= 2 * (1 + 1e-9)
    ]
    assert list(zip(whole.detection.tolist(), whole.object.tolist(), strict=True)) == slow


@pytest.mark.parametrize(("reach", "message"), [("radius_mm", "spacing"), ("inside", "extents")])
def test_what_the_reach_needs(reach, message):
    detections, truth = built(oracle.FIVE)
    for use in (match, links):
        with pytest.raises(InputError, match=message):
            use(detections, truth, Conventions(reach=reach))


def test_the_first_authors_script(shared_data):
    """Its 20 scenes, and the curve of its example: maps cut at each threshold, components' centres as points."""
    reference = json.loads((shared_data / "froc_reference" / "reference.json").read_text())
    for case in reference["assignment_cases"]:
        scene = (case["gt"], case["det"], [1.0] * len(case["det"]))
        dims = len(case["gt"][0])
        truth = truth_of([np.reshape(scene[0], (-1, dims))])
        detections = detections_of([np.reshape(scene[1], (-1, dims))], [scene[2]], truth)
        hits = (match(detections, truth, Conventions(matching="paper", radius=case["radius"])) >= 0).sum()
        assert (len(truth.points), hits, len(detections.points) - hits) == (case["P"], case["TP"], case["FP"])

    example = reference["example1"]
    inputs = np.load(shared_data / "froc_reference" / "example1_inputs.npz")
    scaled = [
        (each - each.min()) / (each.max() - each.min()) for each in (inputs[n].astype(np.float32) for n in inputs)
    ]
    maps, wanted = (scaled[list(inputs).index(name)] for name in ("proba_map", "ground_truth"))
    conventions = Conventions(matching="paper", radius=example["allowed_distance"])
    for threshold, sensitivity, fp_avg in zip(
        example["thresholds"], example["sensitivity"], example["fp_avg"], strict=True
    ):
        truth = truth_of([centres(each >= threshold) for each in wanted])
        points = [centres(each >= threshold) for each in maps]
        detections = detections_of(points, [np.ones(len(each)) for each in points], truth)
        hit = match(detections, truth, conventions) >= 0
        hits, having = np.bincount(detections.image[hit], minlength=truth.n_images), truth.counts > 0
        assert np.mean(hits[having] / truth.counts[having]) == pytest.approx(sensitivity)
        assert np.sum(~hit) / truth.n_images == pytest.approx(fp_avg)


def centres(mask):
    labels, number = ndimage.label(mask)
    return np.reshape(ndimage.center_of_mass(mask, labels, range(1, number + 1)), (-1, mask.ndim))
