"""Augmentation: against scipy's resampling, and with bright blobs whose place is known."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch.nn import functional

from weakspot.data.augment import (
    AugmentSettings,
    Transforms,
    apply,
    matrices,
    sample,
    without_resampling,
)

SHAPES = [(20, 31), (24, 24), (17, 9), (12, 15, 9), (9, 10, 16), (1, 14, 11)]


def still(n, dims):
    return Transforms(np.zeros((n, dims)), np.zeros((n, 1 if dims == 2 else 3)), np.zeros((n, dims), bool))


def drawn(n, dims, seed=0):
    return sample(np.random.default_rng(seed), n, dims)


def apply_to_points(points, transforms, shape):
    """Move the points (m, dims) of each image by the map that is to move the image."""
    affine = matrices(transforms, shape)
    return [each @ map_[:, :-1].T + map_[:, -1] for each, map_ in zip(points, affine, strict=True)]


def blob(shape, place, width=1.2):
    distance = sum((axis - at) ** 2 for axis, at in zip(np.indices(shape), place, strict=True))
    return torch.from_numpy(np.exp(-distance / (2 * width**2)))[None, None]


def place_of(image):
    return np.array(ndimage.center_of_mass(image[0, 0].numpy()))


def test_sample_draws_what_the_settings_say():
    transforms = sample(np.random.default_rng(1), 4000, 3, AugmentSettings(2.0, 0.2))
    for values, largest in ((transforms.translation_vox, 2.0), (transforms.rotation_rad, 0.2)):
        assert values.shape == (4000, 3)
        assert np.all(np.abs(values) <= largest)
        # a uniform variable's mean is 0 and its variance largest^2 / 3: four standard errors of each
        assert np.all(np.abs(values.mean(0)) < 4 * largest / np.sqrt(3 * 4000))
        assert np.allclose(values.var(0), largest**2 / 3, rtol=0.06)
    assert np.all(np.abs(transforms.flip.mean(0) - 0.5) < 4 * 0.5 / np.sqrt(4000))
    assert sample(np.random.default_rng(1), 5, 2).rotation_rad.shape == (5, 1)


def test_sample_is_reproducible_and_a_switch_changes_nothing_else():
    first, second = drawn(6, 2), drawn(6, 2)
    without = sample(np.random.default_rng(0), 6, 2, AugmentSettings(flip=False))
    for name in ("translation_vox", "rotation_rad", "flip"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert np.array_equal(first.rotation_rad, without.rotation_rad)
    assert not without.flip.any()


def test_a_quarter_turn_by_hand():
    # y (1, 0) turns to x (0, 1), so the top of the middle column moves to the left of the middle row
    quarter = Transforms(np.zeros((1, 2)), np.full((1, 1), np.pi / 2), np.zeros((1, 2), bool))
    (moved,) = apply_to_points([np.array([[0.0, 1.0], [1.0, 2.0]])], quarter, (3, 3))
    assert np.allclose(moved, [[1, 0], [0, 1]])
    image = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    image[0, 0, 0, 1] = 1
    expected = torch.zeros_like(image)
    expected[0, 0, 1, 0] = 1
    assert torch.allclose(apply(image, quarter), expected)


def test_flip_then_rotation_then_translation():
    both = Transforms(np.array([[0.0, 10]]), np.full((1, 1), np.pi / 2), np.array([[True, False]]))
    # about the centre (1, 1): (0, 1) is flipped to (2, 1), turned to (1, 2), moved to (1, 12)
    assert np.allclose(apply_to_points([np.array([[0.0, 1.0]])], both, (3, 3))[0], [[1, 12]])


@pytest.mark.parametrize(("plane", "axes"), [(0, (1, 2)), (1, (2, 0)), (2, (0, 1))])
def test_each_euler_angle_turns_its_plane(plane, axes):
    angles = np.zeros((1, 3))
    angles[0, plane] = np.pi / 2
    start = np.ones((1, 3))
    start[0, axes[0]] = 2  # one voxel from the centre along the first axis of the plane
    expected = np.ones((1, 3))
    expected[0, axes[1]] = 2
    turned = apply_to_points([start], Transforms(np.zeros((1, 3)), angles, np.zeros((1, 3), bool)), (3, 3, 3))
    assert np.allclose(turned[0], expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_apply_is_scipys_linear_resampling(shape):
    transforms = drawn(3, len(shape))
    images = torch.from_numpy(np.random.default_rng(2).random((3, 2, *shape)))
    moved = apply(images, transforms).numpy()
    for image, result, affine in zip(images.numpy(), moved, matrices(transforms, shape), strict=True):
        back = np.linalg.inv(affine[:, :-1])
        for channel, found in zip(image, result, strict=True):
            expected = ndimage.affine_transform(channel, back, -back @ affine[:, -1], order=1, mode="grid-constant")
            assert np.allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("shape", [(60, 41), (40, 61), (28, 21, 24)])
def test_a_blob_moves_as_its_point_does(shape):
    transforms = drawn(6, len(shape), seed=3)
    points = [np.array(shape) / 2 + np.linspace(-4, 3, len(shape)) + k / 3 for k in range(6)]
    images = torch.cat([blob(shape, point) for point in points]).float()
    moved = apply(images, transforms)
    places = apply_to_points([point[None] for point in points], transforms, shape)
    for k in range(6):
        assert np.allclose(place_of(moved[k : k + 1]), places[k][0], atol=0.02)


def test_wrong_resamplings_are_noticed():
    """What the blob test would let pass, were it too lax: each fault moves the blob elsewhere."""
    shape, point = (60, 41), np.array([12.0, 33.0])
    transforms = Transforms(np.array([[1.5, -1.0]]), np.array([[0.2]]), np.zeros((1, 2), bool))
    image = blob(shape, point)
    right = apply_to_points([point[None]], transforms, shape)[0][0]
    affine = matrices(transforms, shape)[0]
    linear, centre = affine[:, :2], (np.array(shape) - 1) / 2
    shift = affine[:, 2] + linear @ centre - centre

    def resampled(back, offset, sheared=False, corners=False):
        half = (np.array(shape) - (1 if corners else 0)) / 2
        theta = np.hstack([back if sheared else back * half / half[:, None], (offset / half)[:, None]])
        theta = torch.from_numpy(np.hstack([theta[::-1, 1::-1], theta[::-1, 2:]]))[None]
        grid = functional.affine_grid(theta, list(image.shape), align_corners=False)
        return place_of(functional.grid_sample(image, grid, align_corners=False))

    back = np.linalg.inv(linear)
    assert np.allclose(resampled(back, -back @ shift), right, atol=0.02)
    assert np.abs(resampled(back, -back @ shift, sheared=True) - right).max() > 0.5
    assert np.abs(resampled(linear, shift) - right).max() > 0.5
    assert np.abs(resampled(back, -shift) - right).max() > 0.1
    assert np.abs(resampled(back, -back @ shift, corners=True) - right).max() > 0.025


@pytest.mark.parametrize("shape", [(6, 9), (5, 4, 7)])
def test_nothing_to_do_is_the_same_bits_and_flips_are_exact(shape):
    images = torch.rand(2 ** len(shape), 3, *shape, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    same = apply(images, still(len(images), len(shape)))
    assert torch.equal(same, images)
    assert same.data_ptr() != images.data_ptr()
    flips = np.array(list(itertools.product([False, True], repeat=len(shape))))
    nothing = still(len(images), len(shape))
    transforms = Transforms(nothing.translation_vox, nothing.rotation_rad, flips)
    for flipped, image, axes in zip(apply(images, transforms), images, flips, strict=True):
        assert np.array_equal(flipped, np.flip(image.numpy(), np.flatnonzero(axes) + 1))
    corner = np.zeros((1, len(shape)))
    for moved, axes in zip(apply_to_points([corner] * len(images), transforms, shape), flips, strict=True):
        assert np.array_equal(moved[0], np.where(axes, np.array(shape) - 1, 0))
    assert torch.equal(images, before)


def test_an_image_that_is_only_flipped_stays_exact_among_others_that_move():
    images = torch.rand(2, 1, 9, 8, generator=torch.Generator().manual_seed(0))
    transforms = Transforms(np.array([[0.0, 0.0], [1.0, 0.5]]), np.zeros((2, 1)), np.array([[False, True]] * 2))
    assert torch.equal(apply(images, transforms)[0], images[0].flip(2))


@pytest.mark.parametrize("shape", [(6, 9), (5, 4, 7), (1, 5, 6)])
def test_flips_and_whole_shifts_are_exact(shape):
    drawn_ones = sample(np.random.default_rng(3), 60, len(shape), AugmentSettings(3.4))
    transforms = without_resampling(drawn_ones)
    assert {-3, -2, 2, 3} < set(np.unique(transforms.translation_vox)) <= {-3, -2, -1, 0, 1, 2, 3}
    assert not transforms.rotation_rad.any()
    assert np.array_equal(transforms.flip, drawn_ones.flip)
    images = torch.rand(60, 2, *shape, generator=torch.Generator().manual_seed(0))
    moved = apply(images, transforms)
    for image, offset, flip, found in zip(
        images.numpy(), transforms.translation_vox, transforms.flip, moved.numpy(), strict=True
    ):
        flipped = np.flip(image, np.flatnonzero(flip) + 1)
        assert np.array_equal(found, ndimage.shift(flipped, (0, *offset), order=0))


def test_flips_come_before_whole_shifts():
    # 1 2 3, flipped 3 2 1, moved by one voxel 0 3 2 (the other order gives 2 1 0)
    row = torch.tensor([[[[1.0, 2, 3]]]])
    how = Transforms(np.array([[0.0, 1.0]]), np.zeros((1, 1)), np.array([[False, True]]))
    assert apply(row, how).flatten().tolist() == [0, 3, 2]


def test_a_translation_by_whole_voxels_shifts_and_fills_with_zeros():
    image = torch.rand(1, 1, 7, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1
    moved = apply(image, Transforms(np.array([[2.0, -1.0]]), np.zeros((1, 1)), np.zeros((1, 2), bool)))
    expected = torch.zeros_like(image)
    expected[..., 2:, :-1] = image[..., :-2, 1:]
    assert torch.allclose(moved, expected, atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(11, 30), (8, 9, 31)]))
def test_transforms_are_rigid(seed, shape):
    """Distances in voxels are kept; and at zero translation the centre is."""
    rng = np.random.default_rng(seed)
    transforms = sample(rng, 1, len(shape))
    points = rng.uniform(0, 30, (5, len(shape)))
    (moved,) = apply_to_points([points], transforms, shape)
    for a, b in itertools.combinations(range(5), 2):
        before, after = (each[a] - each[b] for each in (points, moved))
        assert np.linalg.norm(after) == pytest.approx(np.linalg.norm(before))
    centre = (np.array(shape)[None] - 1) / 2
    (middle,) = apply_to_points([centre], transforms, shape)
    assert np.allclose(middle - transforms.translation_vox, centre)


def test_float32_stays_float32_and_an_empty_batch_stays_empty():
    assert apply(torch.rand(2, 1, 5, 5), drawn(2, 2)).dtype == torch.float32
    assert apply(torch.rand(0, 1, 5, 5), drawn(0, 2)).shape == (0, 1, 5, 5)
