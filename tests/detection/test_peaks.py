"""Peaks against a slow search, and the properties that hold for every map."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from weakspot.detection import candidates
from weakspot.detection.peaks import SCORES
from weakspot.errors import InputError

# Few distinct values in a small map: plateaus, terraces and ties all the time.
LEVELS = hnp.arrays(np.int64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=7), elements=st.integers(-1, 4))
SIZES = st.integers(1, 7)


def distinct(shape, seed):
    """Give a map without ties, part of it negative."""
    values = np.random.default_rng(seed).permutation(int(np.prod(shape))).reshape(shape)
    return values - values.size // 4


def around(shape, place, before, behind):
    """List the places of a box, cut at the border."""
    ranges = [range(max(p - before, 0), min(p + behind + 1, n)) for p, n in zip(place, shape, strict=True)]
    return list(itertools.product(*ranges))


def slow_candidates(values, size):
    """Flood every plateau; keep it if none of its neighbours is higher and one of its voxels tops its box."""
    if values.min() == values.max():
        return []
    seen, found = set(), []
    for start in np.ndindex(values.shape):
        if values[start] <= 0 or start in seen:
            continue
        plateau, queue = {start}, [start]
        for place in queue:
            for near in around(values.shape, place, 1, 1):
                if values[near] == values[start] and near not in plateau:
                    plateau.add(near)
                    queue.append(near)
        seen |= plateau
        if any(values[near] > values[start] for p in plateau for near in around(values.shape, p, 1, 1)):
            continue
        tops = sorted(
            p
            for p in plateau
            if values[p] == max(values[q] for q in around(values.shape, p, size // 2, (size - 1) // 2))
        )
        if tops:
            # n times the centroid, in whole numbers
            total, n = np.sum(tops, axis=0), len(tops)
            found.append((-values[start], min(tops, key=lambda p: (((n * np.array(p) - total) ** 2).sum(), p))))
    return [(point, -height) for height, point in sorted(found)]


def slow_masses(values, size):
    """Walk uphill from every positive voxel of a map without ties."""
    points = [point for point, _ in slow_candidates(values, size)]
    masses = dict.fromkeys(points, 0)
    for start in np.ndindex(values.shape):
        place = start
        while values[start] > 0 and place not in masses:
            higher = max(around(values.shape, place, 1, 1), key=lambda p: values[p])
            if higher == place:  # a maximum that a higher voxel of its box suppresses
                higher = max(around(values.shape, place, size // 2, (size - 1) // 2), key=lambda p: values[p])
            place = higher
        if values[start] > 0:
            masses[place] += values[start]
    return [masses[point] / values.size for point in points]


@given(LEVELS, SIZES)
@settings(max_examples=300, deadline=None)
def test_equals_the_slow_search(values, size):
    found = candidates(values, size)
    assert [(tuple(p), h) for p, h in zip(found.points.astype(int).tolist(), found.heights, strict=True)] == [
        (point, height) for point, height in slow_candidates(values, size)
    ]


@given(st.sampled_from([(30,), (7, 8), (4, 5, 4)]), st.integers(0, 10_000), SIZES)
@settings(deadline=None)
def test_masses_equal_the_slow_walk(shape, seed, size):
    values = distinct(shape, seed)
    found = candidates(values, size, score="mass")
    np.testing.assert_allclose(found.scores[np.argsort(-found.heights)], slow_masses(values, size))


@given(LEVELS, SIZES)
@settings(max_examples=300, deadline=None)
def test_masses_share_out_the_positive_part(values, size):
    found = candidates(values, size, score="mass")
    # Somewhere a map that is not constant has a maximum; without one there is nothing to share out.
    expected = np.maximum(values, 0).mean() if len(found) else 0
    assert found.scores.sum() == pytest.approx(expected)
    assert (found.scores > 0).all()
    assert (found.scores * values.size >= found.heights - 1e-9).all()


def slow_prominence(values, point, height):
    """Lower the water until the point's island has a higher voxel, or another summit as high that comes first."""
    around_it = np.ones([3] * values.ndim)
    plateaus, _ = ndimage.label(values == height, around_it)
    for level in np.unique(values[(values > 0) & (values <= height)])[::-1]:
        islands, _ = ndimage.label(values >= level, around_it)
        island = islands == islands[point]
        first = np.flatnonzero(island.ravel() & (values.ravel() == height))[0]
        if values[island].max() > height or plateaus.ravel()[first] != plateaus[point]:
            return height - level
    return height


@given(LEVELS, SIZES)
@settings(max_examples=300, deadline=None)
def test_prominences_equal_the_slow_flood(values, size):
    found = candidates(values, size, score="prominence")
    for point, height, score in zip(found.points.astype(int), found.heights, found.scores, strict=True):
        assert score == slow_prominence(values, tuple(point), height)
    assert (found.scores > 0).all()
    assert (found.scores <= found.heights).all()
    if len(found):
        assert found.scores[0] == found.heights.max()


def test_of_several_maxima_on_one_object_the_highest_stands_out():
    # A stroke with maxima 9, 8 and 8.5 over a ridge of 7, and an object of 3 alone.
    values = np.array([9, 7, 7, 7, 8, 7, 7, 7, 8.5, 0, 0, 0, 0, 3])
    found = candidates(values, size=3, score="prominence")
    assert found.points[:, 0].tolist() == [0, 13, 8, 4]
    assert found.scores.tolist() == [9, 3, 1.5, 1]
    assert candidates(values, size=3).points[:, 0].tolist() == [0, 8, 4, 13]
    # The way round: over the corner of the second row the saddle is 6, straight on it is 2.
    way = np.array([[9, 2, 8], [6, 6, 6]])
    assert candidates(way, size=2, score="prominence").scores.tolist() == [9, 2]
    # A maximum that is no candidate is a higher one still: 7, hidden by 8, has 5 as its shoulder.
    assert candidates(np.array([8, 1, 7, 4, 4, 5]), size=4, score="prominence").scores.tolist() == [8, 1]


def test_of_equal_maxima_the_first_is_prominent_whatever_the_precision():
    values = np.array([[5, 0], [0.2, 0], [0, 5]])
    for precision in (np.float32, np.float64):
        found = candidates(values.astype(precision), size=2, score="prominence")
        assert found.points.tolist() == [[0, 0], [2, 1]]
        assert found.scores.tolist() == [5, 5 - float(precision(0.2))]


@given(LEVELS, SIZES)
@settings(max_examples=200, deadline=None)
def test_the_map_of_the_peaks_alone_has_the_same_peaks(values, size):
    found = candidates(values, size)
    alone = np.zeros(values.shape)
    alone[tuple(found.points.astype(int).T)] = found.heights
    again = candidates(alone, size)
    if alone.size > 1:  # a map of one voxel is constant
        np.testing.assert_array_equal(again.points, found.points)
        np.testing.assert_array_equal(again.heights, found.heights)


@given(LEVELS, SIZES, st.lists(st.integers(0, 4), min_size=3, max_size=3))
@settings(deadline=None)
def test_moves_with_the_map(values, size, shift):
    values = np.append(values, np.zeros((1, *values.shape[1:]), int), 0)  # constant maps are another matter
    moved = candidates(np.pad(values, [(before, 1) for before in shift[: values.ndim]]), size)
    found = candidates(values, size)
    np.testing.assert_array_equal(moved.points, found.points + shift[: values.ndim])


@given(st.sampled_from([(7, 9), (4, 5, 6)]), st.integers(0, 10_000), SIZES, st.sampled_from(SCORES))
@settings(deadline=None)
def test_turns_with_the_axes(shape, seed, size, score):
    values = distinct(shape, seed)
    found, turned = (candidates(each, size, score=score) for each in (values, values.T))
    np.testing.assert_array_equal(turned.points[:, ::-1], found.points)
    np.testing.assert_allclose(turned.scores, found.scores)


@given(LEVELS, SIZES, st.sampled_from(SCORES))
@settings(deadline=None)
def test_a_slice_is_a_volume_one_thick(values, size, score):
    flat, thick = candidates(values, size, score=score), candidates(values[None], size, score=score)
    np.testing.assert_array_equal(thick.points, np.insert(flat.points, 0, 0, axis=1))
    np.testing.assert_array_equal(thick.scores, flat.scores)


@given(LEVELS, SIZES, st.sampled_from(SCORES))
@settings(deadline=None)
def test_scale_does_not_matter(values, size, score):
    found, scaled = candidates(values, size, score=score), candidates(values * 8.0, size, score=score)
    np.testing.assert_array_equal(scaled.points, found.points)
    np.testing.assert_array_equal(scaled.scores, 8 * found.scores)


def points(values, *args, **kwargs):
    return candidates(np.array(values), *args, **kwargs).points.tolist()


def test_a_flat_peak_is_one_point_nearest_to_its_centroid():
    values = np.zeros((9, 9))
    values[2:5, 3:6] = 1
    assert points(values) == [[3, 4]]
    values[2, 3] = 0  # the centroid moves off the middle, by less than half a voxel
    assert points(values) == [[3, 4]]
    assert points([0, 1, 1, 0]) == [[1]]  # two as near: the first
    ring = np.pad(np.ones((3, 3)), 1)
    ring[2, 2] = 0  # the centroid is no voxel of the plateau: the first of the four nearest
    assert points(ring) == [[1, 2]]


def test_ground_level_is_no_peak_however_far_from_one():
    terrace = np.full((40, 40), 0.5)
    terrace[20, 20] = 2
    found = candidates(terrace, score="mass")
    assert found.points.tolist() == [[20, 20]]
    assert found.scores == pytest.approx([(1599 * 0.5 + 2) / 1600])


def test_a_terrace_goes_to_the_nearer_of_two_peaks():
    # Level ground from 1 to 9 rises at both ends: voxels 0-4 go left (3 + 4 * 1), 6-10 right (5 + 4 * 1), and the one
    # in the middle, as far from both, to the right, too.
    found = candidates(np.array([3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 5.0]), score="mass")
    assert found.points[:, 0].tolist() == [10, 0]
    np.testing.assert_allclose(found.scores * 11, [10, 7])


def test_the_border_counts():
    assert points([5, 1, 0, 0, 0, 0, 0, 0, 1, 4]) == [[0], [9]]


def test_nothing_to_find():
    for values in (np.zeros((4, 4)), np.ones((4, 4)), np.full((3, 3), -1.0), np.array([[-2, -1]]), np.zeros((0, 4))):
        for score in SCORES:
            found = candidates(values, score=score)
            assert found.points.shape == (0, 2)
            assert len(found.scores) == len(found) == 0


def test_the_even_box_reaches_further_down():
    # Size 6 sees 3 voxels before and 2 behind: of two maxima 3 apart, only the later one sees the earlier.
    assert points([0, 9, 0, 0, 5, 0]) == [[1]]
    assert points([0, 5, 0, 0, 9, 0]) == [[4], [1]]
    assert points([0, 5, 0, 9, 0, 0]) == [[3]]


def test_order_and_ties():
    found = candidates(np.array([2, 0, 0, 3, 0, 0, 2, 0, 0, 3.0]), size=3)
    assert found.points[:, 0].tolist() == [3, 9, 0, 6]
    wide = candidates(np.array([3, 0, 0, 0, 2, 2, 1, 0, 0, 0, 0, 3.0]), size=3, score="mass")
    assert wide.points[:, 0].tolist() == [4, 0, 11]  # masses 5, 3, 3
    assert wide.heights.tolist() == [2, 3, 3]


def test_a_suppressed_maximum_gives_its_mass_to_the_one_that_suppresses_it():
    # 7 is in the box of 4 (2 behind it), which is no candidate; the 2s before it climb to the 4.
    found = candidates(np.array([2, 4, 1, 7, 0, 0, 0.0]), score="mass")
    assert found.points[:, 0].tolist() == [3]
    assert found.scores.tolist() == [2]  # 14 / 7


def test_the_count_is_the_bias_the_masses_and_the_negative_part():
    values = np.random.default_rng(0).normal(size=(20, 30))
    bias = 1.5
    count = values.mean() + bias
    masses = candidates(values, score="mass").scores
    assert count == pytest.approx(bias + masses.sum() + np.minimum(values, 0).mean())


def test_size_in_mm_and_per_axis():
    values = np.zeros((1, 20))
    values[0, [2, 7]] = [9, 5]
    assert len(points(values, 6)) == 2
    assert len(points(values, (1, 12))) == 1  # 6 voxels back
    assert len(points(values, 6, spacing_mm=(1, 0.5))) == 1  # 6 mm are 12 voxels
    assert len(points(values, 6, spacing_mm=(1, 1))) == 2
    assert len(points(values, 0.1, spacing_mm=(1, 1))) == 2  # at least a voxel


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "above 0"),
        ({"size": 2.5}, "give the spacing"),
        ({"size": (6, 6, 6)}, "2 axes"),
        ({"size": float("nan")}, "above 0"),
        ({"spacing_mm": (1, 0)}, "spacing above 0"),
        ({"spacing_mm": (1,)}, "2 axes"),
        ({"score": "area"}, "choose one of height, mass, prominence"),
        ({"attention": np.array([[1, np.nan], [np.inf, 0]])}, "2 of the 4 values"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InputError, match=message):
        candidates(**{"attention": np.eye(4), **arguments})


def test_deterministic_and_input_left_alone():
    values = np.random.default_rng(1).normal(size=(30, 30)).astype(np.float32)
    before = values.copy()
    first, second = (candidates(values, score="mass") for _ in range(2))
    np.testing.assert_array_equal(first.points, second.points)
    np.testing.assert_array_equal(first.scores, second.scores)
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(first.heights, values[tuple(first.points.astype(int).T)])


def test_smoothing_takes_back_what_is_negative_beside_a_peak():
    values = np.zeros((12, 24))
    values[4:9, 4:9] = -1  # what speaks against an object outweighs the voxel that speaks for one
    values[6, 6] = 3
    values[5:8, 16:19] = 2
    by_height = candidates(values, size=6)
    assert by_height.points[0].tolist() == [6, 6]
    smoothed = candidates(values, size=6, smooth=1.5)
    assert smoothed.points[0].tolist() == [6, 17]
    # The Gaussian by hand: its weights along one axis for the voxels 0 and 1 away, twice.
    weights = np.exp(-(np.arange(-6, 7) ** 2) / (2 * 1.5**2))
    near = weights[6 - 1 : 6 + 2].sum() / weights.sum()
    assert smoothed.heights[0] == pytest.approx(2 * near**2, rel=1e-3)
    assert not np.any(np.all(smoothed.points == [6, 6], axis=1))


@pytest.mark.parametrize("score", SCORES)
def test_smoothing_is_in_voxels_by_each_axis_and_none_changes_nothing(score):
    values = distinct((9, 8, 7), 3)
    one = candidates(values, 6, (1.0, 2.0, 4.0), score, smooth=(2.0, 1.0, 0.5))
    smoothed = ndimage.gaussian_filter(values.astype(float), (2.0, 1.0, 0.5), mode="constant")
    other = candidates(smoothed, (6, 3, 2), score=score)
    assert np.array_equal(one.points, other.points)
    assert np.array_equal(one.scores, other.scores)
    plain = candidates(values, 3, score=score)
    assert np.array_equal(candidates(values, 3, score=score, smooth=0).scores, plain.scores)
    assert candidates(values, 3, score=score, smooth=1).scores[0] != plain.scores[0]
    for wrong in (-1, np.nan, np.inf, (1, 1)):
        with pytest.raises(InputError, match=r"a smoothing of .*: expected 0 or more"):
            candidates(values, smooth=wrong)
