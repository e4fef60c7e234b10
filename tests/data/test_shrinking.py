"""Images shrunk by whole factors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakspot.data.shrinking import carried_back, check_slices_stay, enlarged, factors_for, shrunk
from weakspot.errors import InputError

FACTORS = st.lists(st.integers(1, 4), min_size=2, max_size=3)


@given(FACTORS, st.data())
def test_each_voxel_is_the_mean_of_its_block(factors: list[int], data: st.DataObject):
    shape = [data.draw(st.integers(1, 9)) for _ in factors]
    image = np.random.default_rng(len(shape)).random((2, *shape), dtype=np.float32)
    found = shrunk(image, factors)
    assert found.shape == (2, *(-(-size // factor) for size, factor in zip(shape, factors, strict=True)))
    assert found.dtype == np.float32
    for place in np.ndindex(found.shape[1:]):
        block = tuple(slice(at * by, at * by + by) for at, by in zip(place, factors, strict=True))
        for channel in range(2):
            assert found[(channel, *place)] == pytest.approx(image[(channel, *block)].mean(dtype=float), abs=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16])
def test_whole_numbers_stay_of_their_type_and_are_rounded(kind: type[np.integer]):
    high = np.iinfo(kind).max
    image = np.array([[[high, high, 1, 2], [high, high, 2, 2]]], kind)
    assert np.array_equal(shrunk(image, (2,)), np.array([[[high, 2]]], kind))
    assert shrunk(image, (2,)).dtype == kind


def test_what_is_not_shrunk_is_not_copied():
    image = np.zeros((1, 3, 4), np.uint8)
    assert shrunk(image, (1,)) is image
    assert enlarged(image[0], (1, 1), (3, 4)).base is image


def test_means_of_what_float32_just_holds():
    assert np.array_equal(shrunk(np.full((1, 4, 4), 3e38, np.float32), (2,)), np.full((1, 2, 2), 3e38, np.float32))


def test_factors_beyond_the_image():
    image = np.array([[[1, 3], [5, 7]]], np.uint8)
    assert np.array_equal(shrunk(image, (10**30,)), [[[4]]])
    assert np.array_equal(carried_back(np.zeros((1, 2)), (10**30, 10), (2, 4)), [[0.5, 1.5]])


@given(FACTORS, st.data())
def test_the_centre_of_a_block_is_carried_back_to_it(factors: list[int], data: st.DataObject):
    shape = [data.draw(st.integers(1, 9)) for _ in factors]
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(np.float32)
    means = shrunk(grid, factors)  # of the voxels' own indices
    places = np.argwhere(np.ones(means.shape[1:]))
    assert np.allclose(carried_back(places.astype(float), factors, shape), means.reshape(len(shape), -1).T)


@given(FACTORS, st.data())
def test_a_map_is_enlarged_to_the_blocks(factors: list[int], data: st.DataObject):
    shape = [data.draw(st.integers(1, 9)) for _ in factors]
    small = np.arange(np.prod([-(-size // by) for size, by in zip(shape, factors, strict=True)]))
    small = small.reshape([-(-size // by) for size, by in zip(shape, factors, strict=True)])
    large = enlarged(small, factors, shape)
    assert large.shape == tuple(shape)
    for place in np.ndindex(large.shape):
        assert large[place] == small[tuple(at // by for at, by in zip(place, factors, strict=True))]


def test_factors():
    assert factors_for((2,), 3) == (2, 2, 2)
    assert factors_for((2, 2, 1), 3) == (2, 2, 1)
    with pytest.raises(InputError, match=r"2 factors \(2,2\) to shrink images in 3D by: give one, or 3"):
        factors_for((2, 2), 3)
    check_slices_stay(2, (2, 2, 1))
    with pytest.raises(InputError, match=r"--slice-axis j .* by 2,3,1: train with --shrink 2,1,1"):
        check_slices_stay(1, (2, 3, 1))
