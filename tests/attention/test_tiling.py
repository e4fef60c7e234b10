"""Tiles: maps, counts and candidates equal to those of the whole image; and what a tile too bare would give."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.networks.test_networks import each_architecture, randomised
from weakspot.attention import METHODS, attend, attend_and_count, tiling
from weakspot.attention.methods import ready
from weakspot.attention.tiling import attend_in_tiles, halo_of, tiles
from weakspot.detection.peaks import candidates
from weakspot.errors import InputError
from weakspot.networks import build

DERIVATIVES = ["grad", "guided_backprop"]
# Sizes even, odd and shorter than a halo; by how much the tile is larger than the smallest.
CASES = [((93, 45), 12), ((70, 86), 6), ((85, 3, 6), 6), ((5, 82, 4), (9, 4, 0))]
each_case = pytest.mark.parametrize(("size", "more"), CASES)
each_method = pytest.mark.parametrize("method", METHODS)


def images_of(size, channels=1, batch=2):
    return torch.rand(batch, channels, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def possible(method, name):
    return not (method in DERIVATIVES and name == "gp_unet_max_pool")


@each_method
@each_architecture
@each_case
def test_tiled_equals_whole(method, name, size, more):
    if not possible(method, name):
        pytest.skip("refused, see below")
    network, images = randomised(name, len(size), width=2), images_of(size)
    whole, expected = attend(method, network, images), network(images).count.float()
    least = 2 * halo_of(method, network) + network.multiple
    tile = least + more if isinstance(more, int) else [least + each for each in more]
    tiled = attend_and_count(method, network, images, tile=tile)
    torch.testing.assert_close(tiled.maps, whole, rtol=1e-6, atol=1e-6 * whole.abs().max().item())
    torch.testing.assert_close(tiled.outputs, expected, rtol=1e-6, atol=1e-7)
    assert torch.equal(attend(method, network, images, tile=tile), tiled.maps)


@each_method
@each_architecture
@pytest.mark.parametrize("size", [(9, 8), (1, 3), (4, 5, 7), (1, 1)])
def test_one_pass_gives_the_maps_and_counts_of_two(method, name, size):
    network, images = randomised(name, len(size), in_channels=2), images_of(size, channels=2)
    maps, outputs = attend_and_count(method, network, images)
    torch.testing.assert_close(maps, attend(method, network, images))
    torch.testing.assert_close(outputs, network(images).count.float())


def test_one_pass_is_one_pass():
    network, seen = randomised("gp_unet", 2), []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape))
    attend_and_count("cam", network, images_of((12, 13)))
    assert len(seen) == 1


@pytest.mark.parametrize("method", ["cam", "grad_cam", "grad", "guided_backprop"])
@pytest.mark.parametrize("name", ["gp_unet", "base"])
def test_in_single_precision_maps_counts_and_candidates_agree_to_1e_5(method, name):
    torch.manual_seed(3)
    network, images = build(name, 3).eval(), torch.rand(1, 1, 52, 38, 25)
    whole, tiled = (attend_and_count(method, network, images, tile=tile) for tile in (None, (46, 36, 25)))
    scale = whole.maps.abs().max().item()
    torch.testing.assert_close(tiled.maps, whole.maps, rtol=1e-5, atol=1e-5 * scale)
    torch.testing.assert_close(tiled.outputs, whole.outputs, rtol=1e-5, atol=1e-5)
    found, expected = (candidates(maps[0].numpy(), score="mass") for maps in (tiled.maps, whole.maps))
    assert len(expected) > 10
    assert {tuple(point) for point in found.points} == {tuple(point) for point in expected.points}
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4, atol=1e-5 * scale)


@each_architecture
@pytest.mark.parametrize("method", ["cam", "grad"])
def test_the_halo_is_no_larger_than_needed(method, name):
    """With one block of the pooling factor less, something of the whole image is missed."""
    if not possible(method, name) or (method == "grad" and name == "base"):
        pytest.skip("refused, or (base) only the interpolation of its maps needs all of the halo")
    network, images = randomised(name, 2, width=8), images_of((96, 96), batch=1)
    whole = attend(method, network, images)
    network.halo -= network.multiple
    with ready(network):
        bare = attend_in_tiles(method, network, images, 72).maps
    assert not torch.allclose(bare, whole, rtol=1e-6, atol=1e-6 * whole.abs().max().item())


MISALIGNED = [(0, 7, 0, 27), (7, 40, 1, 40)]  # cores, and parts of which the second begins within a pooled block


@each_architecture
def test_wrong_tiles_are_told_apart(name, monkeypatch):
    network, images = randomised(name, 2), images_of((40, 44), batch=1)
    whole = attend_and_count("cam", network, images)
    beyond = attend_and_count("cam", network, nn.functional.pad(images, [16] * 4)).maps[:, 16:-16, 16:-16]
    assert not torch.allclose(beyond, whole.maps, atol=1e-3), "zeros beyond the image instead of its end"
    means = [network(images[..., y : y + 20, x : x + 22]).count for y in (0, 20) for x in (0, 22)]
    mean = torch.stack(means).mean(0).float()
    assert not torch.allclose(mean, whole.outputs, atol=1e-3), "counts of tiles without their surroundings"
    slivers = [tiling.Tile((slice(a, b), slice(0, 44)), (slice(c, d), slice(0, 44))) for a, b, c, d in MISALIGNED]
    monkeypatch.setattr(tiling, "tiles", lambda *arguments: slivers)
    maps = attend_and_count("cam", network, images, tile=40).maps
    assert not torch.allclose(maps, whole.maps, atol=1e-3), "tiles that begin within a pooled block"


@pytest.mark.parametrize(
    ("shape", "tile", "halo", "multiple"),
    [((30, 7), (10, 7), 4, 2), ((19, 6, 21), (12, 6, 20), 4, 4), ((8,), (8,), 4, 4), ((97, 33), (22, 18), 8, 2)],
)
def test_tiles_part_the_image_and_are_of_one_size(shape, tile, halo, multiple):
    covered = np.zeros(shape, int)
    numbers = np.arange(np.prod(shape)).reshape(shape)
    for each in tiles(shape, tile, halo, multiple):
        covered[each.core] += 1
        for core, part, wanted, size in zip(each.core, each.part, tile, shape, strict=True):
            assert part.start % multiple == 0
            assert min(-(-part.stop // multiple) * multiple, -(-size // multiple) * multiple) - part.start >= wanted
            assert core.start == part.start == 0 or core.start - part.start >= halo
            assert core.stop == part.stop == size or part.stop - core.stop >= halo
        part = numbers[each.part]
        np.testing.assert_array_equal(part[each.within(part.shape)], numbers[each.core])
    assert (covered == 1).all()


@each_architecture
def test_a_tile_larger_than_the_image_is_the_image(name):
    network, images = randomised(name, 2), images_of((11, 14))
    whole, tiled = (attend_and_count("cam", network, images, tile=tile) for tile in (None, 64))
    assert torch.equal(whole.maps, tiled.maps)
    assert torch.equal(whole.outputs, tiled.outputs)


@pytest.mark.parametrize("method", DERIVATIVES)
def test_derivatives_under_max_pooling_are_refused_in_tiles(method):
    network = randomised("gp_unet_max_pool", 2)
    with pytest.raises(InputError, match="under max pooling hangs on single voxels of the whole image"):
        attend(method, network, images_of((32, 32)), tile=20)


@pytest.mark.parametrize(
    ("tile", "message"),
    [
        (16, "need 8 voxels around what a tile gives, so at least 18 an axis"),
        ((32, 0), "at least 18"),
        ((24, 24, 24), r"tile \(24, 24, 24\): expected one size, or 2 of them"),
    ],
)
def test_sizes_that_are_none(tile, message):
    with pytest.raises(InputError, match=message):
        attend("cam", randomised("base", 2), images_of((32, 32)), tile=tile)


def test_networks_of_others_are_taken_whole():
    network, images = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(36, 1)), torch.rand(1, 1, 8, 8)
    with pytest.raises(InputError, match="reads the features and the head of weakspot's networks"):
        attend("grad", network, images, tile=4)
    with pytest.raises(InputError, match="tile= is for weakspot's own networks, layer= for others"):
        attend("grad_cam", network, images, layer="0", tile=4)
