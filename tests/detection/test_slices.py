import numpy as np
import pytest

from weakspot.detection import candidates, candidates_in, take_slice
from weakspot.errors import InputError


def test_the_slice_asked_for_or_the_middle():
    volume = np.arange(2 * 3 * 5).reshape(2, 3, 5)
    np.testing.assert_array_equal(take_slice(volume, 1, 2), volume[:, 2])
    np.testing.assert_array_equal(take_slice(volume, -1), volume[:, :, 2])
    np.testing.assert_array_equal(take_slice(volume, 0, float("nan")), volume[1])


def test_peaks_of_a_slice_are_not_suppressed_by_the_next():
    volume = np.zeros((20, 20, 4))
    volume[5, 5, 1], volume[6, 5, 2] = 1, 2
    assert candidates(volume).points.tolist() == [[6, 5, 2]]
    assert candidates(take_slice(volume, 2, 1)).points.tolist() == [[5, 5]]


@pytest.mark.parametrize(("axis", "index"), [(3, 0), (-4, 0), (0, 2), (0, -1), (0, 0.5), (0, float("inf"))])
def test_no_such_slice(axis, index):
    with pytest.raises(InputError, match="slice"):
        take_slice(np.zeros((2, 3, 5)), axis, index)


def test_candidates_of_a_slice_have_all_coordinates_and_its_own_spacing():
    volume = np.zeros((3, 12, 12))
    volume[1, 2, [2, 7]] = [9, 5]
    assert candidates_in(volume, (0, 1), size=6).points.tolist() == [[1, 2, 2], [1, 2, 7]]
    assert candidates_in(volume, (-3, float("nan")), (9, 1, 0.5), size=6).points.tolist() == [[1, 2, 2]]  # 12 voxels
    assert candidates_in(volume, None, (9, 1, 1), size=6).points.tolist() == [[1, 2, 2], [1, 2, 7]]
    across = np.moveaxis(volume, 0, 2)
    assert candidates_in(across, (-1, 1)).points.tolist() == [[2, 2, 1], [2, 7, 1]]


def test_a_spacing_of_other_axes_than_the_map_s():
    with pytest.raises(InputError, match="the map has 3 axes"):
        candidates_in(np.eye(3)[None], (0, 0), (1, 1))
    with pytest.raises(InputError, match="slice axis 5"):
        candidates_in(np.eye(3)[None], (5, 0), (1, 1, 1))
