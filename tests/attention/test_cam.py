"""CAM and gated maps: against maps worked out by hand, and against an upsampling that is not PyTorch's."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import map_coordinates
from torch import nn

from tests.networks.plain import plain
from tests.networks.test_networks import CASES, each_architecture, randomised
from weakspot.attention import METHODS, attend, count_residual
from weakspot.attention.cam import cam
from weakspot.errors import InputError
from weakspot.networks.blocks import Head
from weakspot.networks.normalisation import standardise
from weakspot.types import CountOutput


class ByHand(nn.Module):
    """A network of two scales whose features do not depend on the image, of 3 by 2 pixels.

    Its fine features, of weight 0.5, are constant 10; its coarse ones, of weight 2, lie on the padded grid of 4 by 2:
    one column of values 0 and 4. Upsampled by 2 with half-voxel alignment that is 0, 1, 3, 4, of which the image has
    the first three. So the map's rows are 5 + 2 * (0, 1, 3) = 5, 7, 11, and with bias 1 the count is 5 + 2 * 2 + 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.head = Head(2)
        self.head.weight.data = torch.tensor([0.5, 2.0])
        self.head.bias.data = torch.tensor(1.0)

    def forward(self, images: torch.Tensor) -> CountOutput:
        features = (torch.full((1, 1, 3, 2), 10.0), torch.tensor([[[[0.0], [4.0]]]]))
        return CountOutput(self.head(features), features)


BY_HAND = torch.tensor([[[5.0, 5.0], [7.0, 7.0], [11.0, 11.0]]])


def test_map_by_hand():
    network, images = ByHand(), torch.zeros(1, 1, 3, 2)
    maps = attend("cam", network, images)
    torch.testing.assert_close(maps, BY_HAND)
    # The cropped row, of height 4, is why the map's mean 23/3 and the bias 1 are not quite the count 10.
    torch.testing.assert_close(count_residual(network, network(images).count, maps), torch.tensor([10 - 1 - 23 / 3]))


@pytest.mark.parametrize(
    ("wrong", "variant"),
    [
        ("rescaled per image", lambda coarse: (BY_HAND - 5) / 6),
        ("with the bias added", lambda coarse: BY_HAND + 1),
        ("corners aligned", lambda coarse: F.interpolate(coarse, (4, 2), mode="bilinear", align_corners=True)),
        ("nearest", lambda coarse: F.interpolate(coarse, (4, 2), mode="nearest")),
        ("stretched to the image instead of cropped", lambda coarse: F.interpolate(coarse, (3, 2), mode="bilinear")),
    ],
)
def test_the_map_by_hand_tells_wrong_ones_apart(wrong, variant):
    made = variant(torch.tensor([[[[0.0], [4.0]]]]))
    if made.ndim == 4:
        made = 5 + 2 * made[:, 0, :3]
    assert not torch.allclose(made, BY_HAND, atol=0.1), wrong


def upsampled(coarse: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Interpolate between the centres of coarse voxels, which lie at fine positions 2 c + 1/2; constant beyond."""
    positions = np.meshgrid(*[(np.arange(extent) - 0.5) / 2 for extent in shape], indexing="ij")
    return map_coordinates(coarse, positions, order=1, mode="nearest")


@each_architecture
@pytest.mark.parametrize(("dims", "size"), CASES)
def test_cam_is_the_weighted_sum_of_the_features_of_the_network_written_out(name, dims, size):
    network = randomised(name, dims)
    written_out = plain(name, network, dims, 4).requires_grad_(False)
    images = torch.rand(2, 1, *size, dtype=torch.float64)
    channels = [
        channel if channel.shape == size else upsampled(channel, size)
        for image in images
        for scale in written_out.features(image[None])
        for channel in scale[0].numpy()
    ]
    weights = written_out.head.weight[0].numpy()
    expected = np.einsum("k,bk...->b...", weights, np.reshape(channels, (2, len(weights), *size)))
    np.testing.assert_allclose(cam(network, images).numpy(), expected, atol=1e-12, rtol=1e-10)


EXACT = ["gp_unet", "gp_unet_no_residual", "gp_unet_no_skip"]


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(("dims", "size"), CASES)
def test_mean_and_bias_are_the_count_where_nothing_is_interpolated(name, dims, size):
    network = randomised(name, dims).float()
    images = torch.rand(3, 1, *size)
    counts, maps = network(images).count, attend("cam", network, images)
    torch.testing.assert_close(maps.flatten(1).mean(1) + network.head.bias, counts)
    torch.testing.assert_close(count_residual(network, counts, maps), torch.zeros(3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["base", "gated_attention"])
@pytest.mark.parametrize(
    ("size", "is_exact"), [((8, 12), True), ((9, 12), False), ((4, 6, 8), True), ((4, 6, 7), False)]
)
def test_upsampling_by_two_keeps_the_count_and_cropping_does_not(name, size, is_exact):
    network = randomised(name, len(size))
    images = torch.rand(3, 1, *size, dtype=torch.float64)
    residual = count_residual(network, network(images).count, cam(network, images))
    assert (residual.abs().max() < 1e-12) == is_exact


def test_maxima_and_bias_are_the_count_under_max_pooling():
    network = randomised("gp_unet_max_pool", 2)
    images = torch.rand(3, 1, 8, 9, dtype=torch.float64)
    count, (features,) = network(images)
    weight = network.head.weight
    torch.testing.assert_close((features.amax((2, 3)) * weight).sum(1) + network.head.bias, count)
    torch.testing.assert_close(cam(network, images), torch.einsum("k,bkhw->bhw", weight, features).detach())


def test_the_gated_map_is_the_same_function():
    assert METHODS["gated"] is METHODS["cam"]


@pytest.mark.parametrize("method", ["cam", "gated", "grad_cam"])
def test_only_weakspots_own_networks_have_a_head_to_read(method):
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 1))
    with pytest.raises(InputError, match="reads the features and the head of weakspot's networks, and Sequential is"):
        attend(method, network, torch.zeros(1, 1, 4, 4))


@pytest.mark.parametrize("method", ["cam", "gated", "grad_cam"])
def test_norms_have_to_be_folded_first(method):
    network = randomised("base", 2)
    standardise(network, lambda: [torch.zeros(1, 1, 4, 4, dtype=torch.float64)])
    with pytest.raises(InputError, match=r"fold them first"):
        attend(method, network, torch.zeros(1, 1, 4, 4))
