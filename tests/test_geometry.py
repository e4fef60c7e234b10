"""Affines: points go to the world and back, on grids that lie as scanners leave them."""

import numpy as np
import pytest

from weakspot.geometry import carried, largest_distance_mm, shifted, spacing_of, to_voxel, to_world


def turned(degrees, axis):
    a, b = [each for each in range(3) if each != axis]
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = c
    matrix[a, b], matrix[b, a] = -s, s
    return matrix


def affine_of(linear, origin):
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = linear, origin
    return affine


AFFINES = {
    "isotropic": affine_of(np.eye(3), (0, 0, 0)),
    "anisotropic": affine_of(np.diag([0.49, 0.49, 0.8]), (-90, -126, -72)),
    "left-handed": affine_of(np.diag([-0.49, 0.49, 0.8]), (90, -126, -72)),
    "oblique": affine_of(turned(17, 0) @ turned(-8, 1) @ turned(31, 2) @ np.diag([0.49, 0.49, 3.0]), (80, -3, 41.5)),
    "sagittal": affine_of(np.array([[0, 0, 1.2], [-0.5, 0, 0], [0, -0.5, 0]]), (-80, 120, 130)),
    "sheared": affine_of([[0.5, 0.1, 0], [0, 0.6, 0.05], [0, 0, 2]], (1, 2, 3)),
}


@pytest.mark.parametrize("affine", AFFINES.values(), ids=list(AFFINES))
def test_points_survive_the_round_trip(affine):
    points = np.random.default_rng(0).uniform(-5, 300, (50, 3))
    assert np.allclose(to_voxel(to_world(points, affine), affine), points, atol=1e-9)
    for other in AFFINES.values():
        there = carried(points, affine, other)
        assert np.allclose(to_world(there, other), to_world(points, affine), atol=1e-9)
        assert np.allclose(carried(there, other, affine), points, atol=1e-9)


def test_worked_by_hand():
    affine = AFFINES["sagittal"]  # i goes backwards, j downwards, k to the right
    assert np.allclose(to_world([[2, 4, 10]], affine), [[-80 + 12, 120 - 1, 130 - 2]])
    assert np.allclose(spacing_of(affine), [0.5, 0.5, 1.2])
    assert np.allclose(to_world([0, 0, 0], shifted(affine, [2, 4, 10])), [-68, 119, 128])
    assert np.allclose(carried([[7, 7, 7]], affine, shifted(affine, [2, 4, 10])), [[5, 3, -3]])
    assert to_world(np.zeros((0, 3)), affine).shape == (0, 3)
    assert to_world([[1, 2]], np.diag([3.0, 4, 1])).tolist() == [[3, 8]]  # any number of dimensions


def test_the_largest_distance_is_at_a_corner():
    scaled = np.diag([1.01, 1, 1, 1])
    assert largest_distance_mm(np.eye(4), scaled, (101, 5, 5)) == pytest.approx(1.0)
