"""Candidates: hand-worked maps, a slow oracle, and the properties that a peak finder must have."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weakspot.detection.peaks import candidates
from weakspot.errors import InputError

# Few distinct values, so that plateaus and ties are common; a side is longer than the window.
maps = st.one_of(
    arrays(np.float32, st.tuples(*[st.integers(1, 12)] * 2), elements=st.integers(-2, 4).map(float)),
    arrays(np.float32, st.tuples(*[st.integers(1, 6)] * 3), elements=st.integers(-2, 4).map(float)),
)


def slow(attention: np.ndarray, size: int) -> set[tuple[int, ...]]:
    """Every positive voxel that no voxel of its box exceeds; plateaus are whole."""
    found = set()
    for place in itertools.product(*map(range, attention.shape)):
        box = tuple(slice(max(p - size // 2, 0), p - size // 2 + size) for p in place)
        if attention[place] > 0 and attention[place] >= attention[box].max():
            found.add(place)
    return found


def plateaus(places: set[tuple[int, ...]]) -> list[set[tuple[int, ...]]]:
    """Group places that touch, corners included."""
    groups: list[set[tuple[int, ...]]] = []
    for place in places:
        touching = [g for g in groups if any(max(abs(a - b) for a, b in zip(place, p, strict=True)) <= 1 for p in g)]
        groups = [g for g in groups if g not in touching] + [{place}.union(*touching)]
    return groups


@settings(max_examples=150, deadline=None)
@given(maps, st.sampled_from([1, 2, 3, 6]))
def test_one_candidate_for_each_plateau_of_maxima(attention: np.ndarray, size: int):
    found = [tuple(int(x) for x in point) for point in candidates(attention, size).points]
    expected = plateaus(slow(attention, size)) if np.ptp(np.maximum(attention, 0)) else []
    assert len(found) == len(expected)
    assert all(sum(place in group for place in found) == 1 for group in expected)


@settings(max_examples=100, deadline=None)
@given(maps)
def test_scores_descend_and_are_the_heights_and_ties_are_in_order(attention: np.ndarray):
    found = candidates(attention)
    heights = attention[tuple(found.points.astype(int).T)]
    np.testing.assert_array_equal(found.scores, heights)
    keys = [(-score, *point) for score, point in zip(found.scores, found.points, strict=True)]
    assert keys == sorted(keys)


@settings(max_examples=100, deadline=None)
@given(maps)
def test_masses_share_out_the_positive_mean_among_the_same_points(attention: np.ndarray):
    by_height, by_mass = candidates(attention), candidates(attention, score="mass")
    assert {tuple(p) for p in by_height.points} == {tuple(p) for p in by_mass.points}
    assert (np.diff(by_mass.scores) <= 0).all()
    assert (by_mass.scores > 0).all()
    if len(by_mass.points):
        assert by_mass.scores.sum() == pytest.approx(np.maximum(attention, 0).mean())


def test_mass_by_hand():
    # Two hills with the valley at index 3: the voxel there climbs to the higher neighbour on its right.
    attention = np.zeros((1, 16))
    attention[0, 1:13] = [1, 4, 1, 3, 6, 3, 0, 0, 0, 2, 5, 1]
    found = candidates(attention, size=3, score="mass")
    assert found.points[:, 1].tolist() == [5, 11, 2]
    np.testing.assert_allclose(found.scores * 16, [3 + 6 + 3, 2 + 5 + 1, 1 + 4 + 1])


def test_a_suppressed_maximum_gives_its_basin_to_the_peak_that_suppresses_it():
    attention = np.zeros((1, 12))
    attention[0, 2:8] = [9, 1, 5, 1, 0, 0]  # with a window of 6, the 5 stands within reach of the 9
    found = candidates(attention, size=6, score="mass")
    assert found.points[:, 1].tolist() == [2]
    assert found.scores * 12 == pytest.approx([16])


def test_border_plateau_flat_and_empty_maps():
    border = np.zeros((8, 8))
    border[0, 0], border[7, 3] = 2, 1
    assert candidates(border).points.tolist() == [[0, 0], [7, 3]]
    flat = np.zeros((9, 9))
    flat[3:6, 3:6] = 1
    assert candidates(flat).points.tolist() == [[4, 4]]
    for value in (-1.0, 0.0, 3.0):
        assert len(candidates(np.full((5, 5), value)).points) == 0
    assert len(candidates(-border).points) == 0


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (9, 7), elements=st.floats(0, 1), unique=True), st.integers(0, 5), st.integers(0, 5))
def test_moving_or_turning_the_map_moves_or_turns_the_points(attention: np.ndarray, down: int, right: int):
    here = candidates(attention)
    moved = candidates(np.pad(attention, ((down, 6), (right, 6))))
    np.testing.assert_array_equal(moved.points, here.points + np.array([down, right]))
    np.testing.assert_array_equal(candidates(attention.T).points, here.points[:, ::-1])
    flat = candidates(attention[:, :, None])
    np.testing.assert_array_equal(flat.points[:, :2], here.points)
    np.testing.assert_array_equal(flat.scores, here.scores)


def test_sizes_in_mm_are_rounded_to_voxels_along_each_axis():
    attention = np.zeros((12, 12))
    attention[2, 2], attention[2, 6], attention[6, 2] = 3, 2, 1
    # 6 mm are 12 voxels of 0.5 mm down and 2 of 3 mm across: only the point below is within the highest one's box.
    found = candidates(attention, size=6, spacing_mm=(0.5, 3))
    assert found.points.tolist() == [[2, 2], [2, 6]]


@pytest.mark.parametrize(
    ("attention", "options", "message"),
    [
        (np.array([[np.nan, 1]]), {}, "1 values of the attention map are NaN"),
        (np.eye(3), {"score": "area"}, "choose height or mass"),
        (np.eye(3), {"size": 0}, "at least 1"),
        (np.eye(3), {"size": 2.5}, "whole numbers of voxels"),
    ],
)
def test_bad_input_is_refused(attention: np.ndarray, options: dict, message: str):
    with pytest.raises(InputError, match=message):
        candidates(attention, **options)
