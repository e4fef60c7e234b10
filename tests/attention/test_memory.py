"""The estimate of memory, and the tile that it picks."""

import math

import pytest
import torch

from tests.networks.test_networks import each_architecture, randomised
from weakspot.attention.memory import _BASE_BYTES, choose_tile, peak_bytes
from weakspot.errors import InputError
from weakspot.networks import build

MB = 1e6


def test_bytes_by_hand():
    """Base in 2D with 100 filters, intensity aside, on 512x512: two maps of 100 filters are alive at once in conv2.

    Image, map and coarse tensors are small beside them: 2 * 100 * 512^2 * 4 bytes = 210 MB, of which the image is 1 MB.
    """
    network = build("base", 2, width=100)
    found = peak_bytes("grad_cam", network, (512, 512)) - _BASE_BYTES
    assert 210 * MB < found < 1.05 * 210 * MB
    # Backpropagation keeps both, and what follows from them.
    assert peak_bytes("grad", network, (512, 512)) - _BASE_BYTES > 1.5 * found


@each_architecture
def test_grows_with_the_image_and_not_with_what_is_outside_of_the_tile(name):
    network = build(name, 3, 4).eval()
    small, large = (peak_bytes("cam", network, shape) - _BASE_BYTES for shape in ((32, 32, 32), (64, 64, 32)))
    assert 3.8 < large / small < 4.2
    tiled, more = (peak_bytes("cam", network, shape, (48, 48, 48)) for shape in ((64, 64, 64), (128, 64, 64)))
    assert more - tiled == 4 * 64**3  # the map


def test_a_network_is_left_as_found():
    network = randomised("gp_unet", 2)
    peak_bytes("guided_backprop", network, (64, 64))
    assert network.training
    assert all(parameter.device.type == "cpu" and parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2])
@pytest.mark.parametrize("method", ["cam", "grad"])
def test_the_chosen_tile_fits_and_a_larger_one_does_not(method, share):
    network, shape = build("gp_unet", 3).eval(), (150, 121, 90)
    whole = peak_bytes(method, network, shape)
    budget = share * whole
    tile = choose_tile(method, network, shape, budget)
    assert tile is not None
    assert peak_bytes(method, network, shape, tile) <= budget
    halo = 16 if method == "grad" else 8
    assert all(part == size or part >= 2 * halo + 2 for part, size in zip(tile, shape, strict=True))
    assert math.prod(tile) > 0.4 * share * math.prod(shape)  # it uses the memory that there is
    assert choose_tile(method, network, shape, 1.01 * whole) is None


def test_what_no_tile_fits_is_said_with_sizes():
    with pytest.raises(InputError, match=r"an image of 64x64x64 takes about \d{3} MB whole, and 42 MB are there"):
        choose_tile("cam", build("gp_unet", 3), (64, 64, 64), 42 * MB)
    with pytest.raises(InputError, match=r"42 MB are there for it; grad under max pooling"):
        choose_tile("grad", build("gp_unet_max_pool", 3), (64, 64, 64), 42 * MB)


def test_in_double_precision_it_is_twice_as_much():
    single, double = (build("base", 2, 16).to(dtype) for dtype in (torch.float32, torch.float64))
    sizes = [peak_bytes("cam", network, (128, 128)) - _BASE_BYTES - 4 * 128**2 for network in (single, double)]
    assert sizes[1] == pytest.approx(2 * sizes[0], rel=0.01)
