"""Norms as a way to train: against PyTorch's own, fixed from the start, and folded away."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.networks.test_networks import each_architecture, randomised
from weakspot.networks import build
from weakspot.networks.blocks import DIMS, Convolution, Head
from weakspot.networks.normalisation import Normalisation, fold, standardise


def trained(name: str, dims: int) -> tuple[nn.Module, list[torch.Tensor]]:
    """Return a network that has had a few steps with norms, and its images."""
    network = randomised(name, dims).double()
    batches = [torch.rand(3, 1, *[9, 8, 7][:dims], dtype=torch.float64) for _ in range(4)]
    standardise(network, lambda: batches)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-5)
    for images in batches:
        optimizer.zero_grad()
        (network(images).count - 1).square().mean().backward()
        optimizer.step()
    return network, batches


@each_architecture
@pytest.mark.parametrize("dims", [2, 3])
def test_folding_keeps_the_counts_and_takes_the_norms_off(name, dims):
    network, batches = trained(name, dims)
    assert not torch.equal(network.head.norm.mean, torch.zeros_like(network.head.norm.mean))
    before = [network(images).count for images in batches]
    fold(network)
    for images, count in zip(batches, before, strict=True):
        torch.testing.assert_close(network(images).count, count)
    assert network.state_dict().keys() == build(name, dims, 4).state_dict().keys()


def test_gradient_reaches_every_parameter_of_the_norms():
    network, images = randomised("gp_unet", 2).double(), torch.rand(3, 1, 8, 8, dtype=torch.float64)
    standardise(network, lambda: [images])
    network(images).count.square().sum().backward()
    norms = {key: parameter for key, parameter in network.named_parameters() if ".norm." in key}
    assert len(norms) == 12
    for key, parameter in norms.items():
        assert parameter.grad.abs().max() > 0, key


def with_norm(layer: Convolution | Head) -> Normalisation:
    norm = layer.norm = Normalisation(len(layer.weight)).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize("dims", [2, 3])
def test_a_convolution_is_that_of_torch_with_its_batch_norm(dims):
    torch.manual_seed(0)
    layer = Convolution(dims, [2, 3], 4, coarse=[5]).double()
    norm = with_norm(layer)
    size = [6, 8, 4][:dims]
    fine = [torch.randn(2, channels, *size, dtype=torch.float64) for channels in (2, 3)]
    coarse = torch.randn(2, 5, *[extent // 2 for extent in size], dtype=torch.float64)
    joined = torch.cat([*fine, F.interpolate(coarse, scale_factor=2, mode="nearest")], dim=1)
    convolved = DIMS[dims].conv(joined, layer.weight, padding=1)
    expected = F.relu(F.batch_norm(convolved, None, None, norm.weight, norm.bias, training=True, eps=1e-5))
    norm.gather(use_at_once=True)
    torch.testing.assert_close(layer(fine, [coarse]), expected)
    norm.settle()
    torch.testing.assert_close(layer(fine, [coarse]), expected)
    torch.testing.assert_close(norm.mean, convolved.transpose(0, 1).flatten(1).mean(1))
    torch.testing.assert_close(norm.variance, convolved.transpose(0, 1).flatten(1).var(1, correction=0))


def test_the_statistics_of_uneven_batches_are_those_of_all_values_together():
    norm = Normalisation(3).double()
    values = torch.randn(7, 3, 5, dtype=torch.float64)
    norm.gather(use_at_once=False)
    for part in values.split([4, 2, 1]):
        norm(lambda part=part: part)
    norm.settle()
    together = values.transpose(0, 1).flatten(1)
    torch.testing.assert_close(norm.mean, together.mean(1))
    torch.testing.assert_close(norm.variance, together.var(1, correction=0))


@each_architecture
def test_the_mean_count_of_the_images_is_the_constant_that_training_starts_from(name):
    # Exactly so only if the head's statistics are of features as the fixed norms give them.
    network = randomised(name, 2).double()
    batches = [size * torch.rand(4, 1, 9, 8, dtype=torch.float64) for size in (1, 3)]
    standardise(network, lambda: batches)
    mean = torch.cat([network(images).count for images in batches]).mean()
    torch.testing.assert_close(mean, network.head.bias)


def test_what_one_image_counts_does_not_hang_on_the_others_of_its_batch():
    network, images = randomised("gp_unet", 2).double(), torch.rand(4, 1, 9, 8, dtype=torch.float64)
    standardise(network, lambda: images.split(2))
    together = network.train()(images).count
    torch.testing.assert_close(together, torch.cat([network(image[None]).count for image in images]))


def test_a_normalised_head_is_batch_norm_and_a_linear_layer():
    torch.manual_seed(0)
    head = Head(5).double()
    norm = with_norm(head)
    features = torch.randn(4, 5, 6, 7, dtype=torch.float64)
    norm.gather(use_at_once=True)
    pooled = F.batch_norm(features.mean((2, 3)), None, None, norm.weight, norm.bias, training=True, eps=1e-5)
    torch.testing.assert_close(head([features]), pooled @ head.weight + head.bias)


@pytest.mark.parametrize("dims", [2, 3])
def test_without_bias_the_mean_prediction_stays_and_the_map_s_mean_is_the_count(dims):
    network = randomised("gp_unet", dims).double()
    images = torch.rand(6, 1, *[9, 8, 7][:dims], dtype=torch.float64)
    standardise(network, lambda: [images])
    with_bias = network(images).count
    network.head.zero_bias = True
    without = network(images).count
    torch.testing.assert_close(without.mean(), with_bias.mean())
    assert not torch.allclose(without, with_bias)
    before = network(images).count
    fold(network)
    assert network.head.bias.item() == 0
    torch.testing.assert_close(network(images).count, before)
    assert network.head.norm is None
