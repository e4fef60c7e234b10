"""Grad-CAM: against its definition by autograd, Captum, and a map worked out by hand."""

import pytest
import torch
import torch.nn.functional as F
from captum.attr import LayerAttribution, LayerGradCam
from torch import nn

from tests.networks.plain import LINEAR, plain
from tests.networks.test_networks import CASES, each_architecture, randomised
from weakspot.attention import attend
from weakspot.attention.cam import cam, upsample
from weakspot.attention.grad_cam import grad_cam
from weakspot.errors import InputError


@each_architecture
@pytest.mark.parametrize(("dims", "size"), CASES)
def test_of_weakspots_networks_it_is_what_autograd_makes_of_the_definition(name, dims, size):
    network = randomised(name, dims)
    images = torch.rand(2, 1, *size, dtype=torch.float64)
    features = [part.detach().requires_grad_() for part in network(images).features]
    expected = torch.zeros(2, *size, dtype=torch.float64)
    for part, gradient in zip(features, torch.autograd.grad(network.head(features).sum(), features), strict=True):
        alphas = gradient.flatten(2).sum(2) / part[0, 0].numel()  # equation 3
        weighted = sum(alphas[:, k].reshape(-1, *[1] * dims) * part[:, k] for k in range(part.shape[1]))  # equation 4
        expected += upsample(weighted.detach(), size)
    torch.testing.assert_close(grad_cam(network, images), expected)


@pytest.mark.parametrize("name", ["gp_unet", "gp_unet_no_residual", "gp_unet_no_skip", "gp_unet_max_pool", "base"])
@pytest.mark.parametrize("dims", [2, 3])
def test_with_features_of_one_scale_it_is_cam_divided_by_their_voxels(name, dims):
    network = randomised(name, dims)
    images = torch.rand(2, 1, *[6, 7, 9][:dims], dtype=torch.float64)
    voxels = network(images).features[0][0, 0].numel()
    torch.testing.assert_close(grad_cam(network, images) * voxels, cam(network, images))


@pytest.mark.parametrize("size", [(8, 12), (4, 6, 8)])
def test_of_the_base_network_it_is_captums(size):
    network = randomised("base", len(size))
    written_out = plain("base", network, len(size), 4)
    images = torch.rand(2, 1, *size, dtype=torch.float64)
    maps = LayerGradCam(written_out, written_out.last).attribute(images, relu_attributions=False)
    expected = LayerAttribution.interpolate(maps, size, LINEAR[len(size)])[:, 0]
    torch.testing.assert_close(grad_cam(network, images), expected.detach())
    torch.testing.assert_close(attend("grad_cam", written_out, images, layer="last"), expected.detach().float())


class User(nn.Module):
    """A user's network: strides, no padding, in-place ReLUs, two linear layers, (batch, 1)."""

    def __init__(self, dims: int = 2) -> None:
        super().__init__()
        conv, pool = (nn.Conv2d, nn.AdaptiveAvgPool2d) if dims == 2 else (nn.Conv3d, nn.AdaptiveAvgPool3d)
        self.trunk = nn.Sequential(conv(2, 6, 3), nn.ReLU(inplace=True), conv(6, 8, 3, stride=2))
        self.rest = nn.Sequential(nn.ReLU(inplace=True), pool(2), nn.Flatten())
        self.hidden, self.out = nn.Linear(8 * 2**dims, 5), nn.Linear(5, 1)

    def forward(self, images):
        return self.out(F.relu(self.hidden(self.rest(self.trunk(images)))))


@pytest.mark.parametrize("layer", ["trunk", "trunk.0", "rest.1"])
@pytest.mark.parametrize("size", [(13, 16), (9, 11, 10)])
def test_of_a_users_network_it_is_captums(layer, size):
    torch.manual_seed(0)
    network = User(len(size)).double()
    images = torch.rand(3, 2, *size, dtype=torch.float64)
    # Captum sees a layer's output after a ReLU has written to it, so it gets a network whose ReLUs write elsewhere.
    twin = User(len(size)).double()
    twin.load_state_dict(network.state_dict())
    twin.trunk[1].inplace = twin.rest[0].inplace = False
    expected = LayerGradCam(twin, twin.get_submodule(layer)).attribute(images, relu_attributions=False)
    expected = LayerAttribution.interpolate(expected, size, LINEAR[len(size)])[:, 0].detach().float()
    assert (expected < 0).any()
    torch.testing.assert_close(attend("grad_cam", network, images, layer=layer), expected)
    torch.testing.assert_close(attend("grad_cam", network, images, layer=network.get_submodule(layer)), expected)
    assert not any(module._forward_hooks for module in network.modules())


def test_map_by_hand():
    """Two features, x and 2 x; weights with means -1 and 3 over the pixels. So the map is -1 x + 3 * 2 x = 5 x."""
    features = nn.Conv2d(1, 2, 1, bias=False)
    features.weight.data = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1)
    linear = nn.Linear(8, 1)
    linear.weight.data = torch.tensor([[-4.0, 0, 0, 0, 6, 6, 0, 0]])
    images = torch.tensor([[[[1.0, -2.0], [3.0, 0.0]]]])
    maps = attend("grad_cam", nn.Sequential(features, nn.Flatten(), linear), images, layer="0")
    torch.testing.assert_close(maps, torch.tensor([[[5.0, -10.0], [15.0, 0.0]]]))


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.unused, self.out = nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.Linear(16, 1)

    def forward(self, images):
        return self.out(self.conv(self.conv(images)).flatten(1))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("nonesuch", "no layer 'nonesuch' in Reused: it has conv, unused, out"),
        ("conv", "the layer Conv2d ran 2 times"),
        ("unused", "the layer ReLU ran 0 times"),
        (nn.ReLU(), "the layer ReLU ran 0 times"),
        ("out", r"the layer Linear returned shape \(1, 1\) for images \(1, 1, 4, 4\): expected features"),
    ],
)
def test_layers_that_have_no_map(layer, message):
    network = Reused()
    with pytest.raises(InputError, match=message):
        attend("grad_cam", network, torch.zeros(1, 1, 4, 4), layer=layer)
    assert not any(module._forward_hooks for module in network.modules())


def test_a_layer_that_the_count_does_not_use():
    class Aside(Reused):
        def forward(self, images):
            self.conv(images)
            return self.out(images.flatten(1))

    with pytest.raises(InputError, match="the count has no gradient"):
        attend("grad_cam", Aside(), torch.zeros(1, 1, 4, 4), layer="conv")


def test_hooks_go_when_the_network_fails():
    network = User()
    with pytest.raises(RuntimeError):
        attend("grad_cam", network, torch.zeros(1, 1, 9, 9), layer="trunk")
    assert not network.trunk._forward_hooks


def test_weakspots_networks_take_no_layer():
    with pytest.raises(InputError, match="Base is one of weakspot's networks"):
        attend("grad_cam", randomised("base", 2), torch.zeros(1, 1, 4, 4), layer="conv1")
