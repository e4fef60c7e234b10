"""One tester for all networks."""

import pytest
import torch
from torch import nn

from tests.networks.plain import plain
from weakspot.errors import InputError
from weakspot.networks import ARCHITECTURES, build
from weakspot.networks.gp_unet_no_residual import GPUnetNoResidual

SIZES = {2: [(8, 12), (9, 7), (5, 6), (1, 3)], 3: [(8, 4, 12), (5, 6, 7), (1, 2, 3)]}
CASES = [(dims, size) for dims, sizes in SIZES.items() for size in sizes]

each_architecture = pytest.mark.parametrize("name", ARCHITECTURES)
each_size = pytest.mark.parametrize(("dims", "size"), CASES)


def randomised(name: str, dims: int, width: int = 4, in_channels: int = 1) -> nn.Module:
    """Return a network in float64 whose biases are not zero, or errors in them would not show."""
    torch.manual_seed(0)
    network = build(name, dims, width, in_channels).double()
    for parameter in network.parameters():
        if parameter.ndim < 2:
            nn.init.normal_(parameter, std=0.5)
    return network


@each_architecture
@each_size
def test_shapes(name, dims, size):
    count, features = build(name, dims, width=2, in_channels=3)(torch.rand(2, 3, *size))
    assert count.shape == (2,)
    assert all(part.shape[0] == 2 for part in features)
    halved = tuple(-(-extent // 2) for extent in size)
    expected = {"base": {halved}, "gated_attention": {size, halved}}.get(name, {size})
    assert {tuple(part.shape[2:]) for part in features} == expected


@each_architecture
@each_size
@pytest.mark.parametrize("in_channels", [1, 3])
def test_equals_the_network_written_out(name, dims, size, in_channels):
    network = randomised(name, dims, 4, in_channels)
    written_out = plain(name, network, dims, 4, in_channels)
    images = torch.rand(2, in_channels, *size, dtype=torch.float64)
    count, features = network(images)
    torch.testing.assert_close(count, written_out(images)[:, 0])
    flat = torch.cat([part.flatten(2).sum(2) for part in features], dim=1)
    expected = torch.cat([part.flatten(2).sum(2) for part in written_out.features(images)], dim=1)
    torch.testing.assert_close(flat, expected)


@each_architecture
@pytest.mark.parametrize("dims", [2, 3])
def test_gradients_equal_those_of_the_network_written_out(name, dims):
    network = randomised(name, dims)
    written_out = plain(name, network, dims, 4)
    images = torch.rand(2, 1, *[6, 7, 5][:dims], dtype=torch.float64)
    network(images).count.square().sum().backward()
    written_out(images).square().sum().backward()
    # In the order of registration the parameters are the same ones, but for psi, which the fast gate holds itself.
    expected = {key.removesuffix(".weight"): p.grad for key, p in written_out.named_parameters()}
    for key, parameter in network.named_parameters():
        twin = expected[{"gate.psi_bias": "gate.psi.bias"}.get(key, key.removesuffix(".weight"))]
        torch.testing.assert_close(parameter.grad, twin.reshape(parameter.shape), msg=key)


@each_architecture
@pytest.mark.parametrize("dims", [2, 3])
def test_gradient_reaches_every_parameter(name, dims):
    network = randomised(name, dims, width=8)  # of which some ReLUs may be dead, but not all of a layer
    network(torch.rand(4, 1, *[9, 8, 7][:dims], dtype=torch.float64)).count.sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("gp_unet", 308_705),
        ("gp_unet_no_residual", 637_185),
        ("gated_attention", 198_580),
        ("base", 196_418),
        ("gp_unet_max_pool", 308_705),
    ],
)
def test_published_parameter_counts(name, count):
    assert sum(parameter.numel() for parameter in build(name, dims=3).parameters()) == count


def test_parameter_count_of_the_width_in_the_text():
    network = GPUnetNoResidual(dims=3, width=32, in_channels=1, up_width=64)
    assert sum(parameter.numel() for parameter in network.parameters()) == 830_753


def test_default_widths_are_the_papers():
    assert build("base", 2).conv1.weight.shape == (8, 1, 3, 3)
    assert build("base", 3).conv1.weight.shape == (32, 1, 3, 3, 3)


@each_architecture
def test_images_of_a_batch_do_not_meet(name):
    network = randomised(name, 2)
    images = torch.rand(3, 1, 9, 6, dtype=torch.float64)
    alone = torch.cat([network(image[None]).count for image in images])
    torch.testing.assert_close(network(images).count, alone)


@each_architecture
def test_any_memory_layout_of_the_images(name):
    network = randomised(name, 2, in_channels=3)
    images = torch.rand(2, 3, 8, 6, dtype=torch.float64)
    strided = torch.rand(4, 6, 16, 6, dtype=torch.float64)[::2, ::2, ::2]
    strided.copy_(images)
    expected = network(images).count
    for same in (images.contiguous(memory_format=torch.channels_last), strided):
        torch.testing.assert_close(network(same).count, expected)


@each_architecture
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 1, 8, 8, 8), (2, 3, 8, 8)])
def test_images_of_another_kind_are_refused(name, shape):
    with pytest.raises(InputError, match=r"this network takes .* 1 channel\(s\) and 2 spatial axes"):
        build(name, dims=2)(torch.rand(shape))


def test_one_image_without_batch_is_no_batch_of_slices():
    with pytest.raises(InputError, match="3 spatial axes"):
        build("gp_unet_no_skip", dims=3, width=2)(torch.rand(1, 8, 8, 8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "unet", "dims": 2}, "no architecture 'unet': choose one of gp_unet, "),
        ({"name": "base", "dims": 4}, "4 spatial dimensions"),
        ({"name": "base", "dims": 2, "width": 0}, "width 0: expected at least 1"),
        ({"name": "base", "dims": 2, "in_channels": 0}, "in_channels 0"),
    ],
)
def test_what_cannot_be_built(arguments, message):
    with pytest.raises(InputError, match=message):
        build(**arguments)
