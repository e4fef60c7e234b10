import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from weakspot.data.phantom.shapes import Ellipsoid, Tube, coverage, voxel_box

SIZE = (40, 40, 30)


def oblique(shift: float = 0.0) -> np.ndarray:
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", [20, -10, 35], degrees=True).as_matrix()
    affine[:3, :3] = turn * [-0.49, 0.49, 0.8]  # left-handed
    affine[:3, 3] = shift - affine[:3, :3] @ [20, 20, 15]
    return affine


def moments(shape: Tube | Ellipsoid, affine: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the volume in mm^3 and the centre of mass in mm of what was drawn."""
    filled = coverage(shape, affine, tuple(slice(0, n) for n in SIZE))
    centre = np.argwhere(np.ones(SIZE)).T @ filled.ravel() / filled.sum()
    return filled.sum() * abs(np.linalg.det(affine[:3, :3])), affine[:3, :3] @ centre + affine[:3, 3]


@pytest.mark.parametrize("radius", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("shift", [0.0, 0.13, 0.31])
def test_a_tube_keeps_its_volume_and_place_between_voxels(radius, shift):
    line = np.linspace([-2, 0.5, -1.5], [2.5, -1, 1], 5)
    volume, centre = moments(Tube(line, np.full(5, radius)), oblique(shift))
    length = np.linalg.norm(line[-1] - line[0])
    assert volume == pytest.approx(np.pi * radius**2 * length + 4 / 3 * np.pi * radius**3, rel=0.03)
    np.testing.assert_allclose(centre, line[2], atol=0.03)


@pytest.mark.parametrize("tube", [True, False])
def test_a_thin_shape_drawn_by_voxel_centres_alone_would_be_wrong(tube):
    """The oracle above rejects what it should: whole voxels are off by more than a tenth for some place."""
    shape = (
        Tube(np.array([[-1.5, 0, 0], [1.5, 0, 0.0]]), np.full(2, 0.4))
        if tube
        else Ellipsoid(np.zeros(3), np.eye(3) * 0.5)
    )
    exact = np.pi * 0.4**2 * 3 + 4 / 3 * np.pi * 0.4**3 if tube else 4 / 3 * np.pi * 0.5**3
    grid = np.argwhere(np.ones(SIZE))
    by_centres, by_parts = [], []
    for shift in (0.0, 0.1, 0.2, 0.3):
        affine = oblique(shift)
        inside = shape.depth(grid @ affine[:3, :3].T + affine[:3, 3]) > 0
        by_centres.append(abs(inside.sum() * abs(np.linalg.det(affine[:3, :3])) / exact - 1))
        by_parts.append(abs(moments(shape, affine)[0] / exact - 1))
    assert max(by_centres) > 0.1 > 0.05 > max(by_parts)


def test_an_ellipsoid_has_its_volume():
    axes = Rotation.from_euler("z", 30, degrees=True).as_matrix() * np.array([[0.8], [2.0], [3.0]])
    volume, centre = moments(Ellipsoid(np.array([0.2, 0.1, -0.3]), axes), oblique())
    assert volume == pytest.approx(4 / 3 * np.pi * 0.8 * 2 * 3, rel=0.02)
    np.testing.assert_allclose(centre, [0.2, 0.1, -0.3], atol=0.03)


def test_a_soft_ellipsoid_fades_from_one_to_nothing():
    drawn = coverage(Ellipsoid(np.zeros(3), np.eye(3) * 4, 0.5), np.eye(4), (slice(0, 6), slice(0, 1), slice(0, 1)))
    np.testing.assert_allclose(drawn[:, 0, 0], [1, 1, 1, 0.5, 0, 0])  # half way at 0.75 of the radius


def test_the_box_holds_all_of_the_shape_and_ends_with_the_volume():
    tube = Tube(np.array([[-3.0, 0, 0], [3, 2, 1]]), np.array([1.0, 0.5]))
    affine = oblique()
    whole = coverage(tube, affine, tuple(slice(0, n) for n in SIZE))
    box = voxel_box(*tube.box, affine, SIZE)
    assert coverage(tube, affine, box).sum() == pytest.approx(whole.sum())
    np.testing.assert_array_equal(coverage(tube, affine, box), whole[box])
    assert coverage(tube, affine, voxel_box(*tube.box, affine, (3, 3, 3))).size == 0
