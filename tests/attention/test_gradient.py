"""The gradient and the intensity as maps."""

import pytest
import torch
from captum.attr import Saliency
from torch import nn

from tests.attention.test_grad_cam import User
from tests.networks.plain import plain
from tests.networks.test_networks import CASES, each_architecture, randomised
from weakspot.attention import attend
from weakspot.attention.gradient import grad
from weakspot.errors import InputError


@each_architecture
@pytest.mark.parametrize("size", [(5, 6), (3, 4, 5)])
def test_finite_differences(name, size):
    network = randomised(name, len(size))
    images = torch.rand(1, 1, *size, dtype=torch.float64)
    step = 1e-6 * torch.eye(images.numel(), dtype=torch.float64).reshape(-1, 1, *size)
    with torch.no_grad():
        expected = (network(images + step).count - network(images - step).count) / 2e-6
    torch.testing.assert_close(grad(network, images).flatten(), expected, atol=1e-7, rtol=1e-6)


@each_architecture
@pytest.mark.parametrize(("dims", "size"), CASES)
def test_captums_saliency(name, dims, size):
    network = randomised(name, dims)
    images = torch.rand(2, 1, *size, dtype=torch.float64, requires_grad=True)  # else Captum warns
    expected = Saliency(plain(name, network, dims, 4)).attribute(images, abs=False)[:, 0]
    torch.testing.assert_close(attend("grad", network, images), expected.float())


def test_of_a_users_network_the_channels_are_summed():
    network = User().double()
    images = torch.rand(2, 2, 13, 16, dtype=torch.float64, requires_grad=True)
    expected = Saliency(network).attribute(images, abs=False)
    torch.testing.assert_close(grad(network, images), expected.sum(1))


@pytest.mark.parametrize("method", ["grad", "guided_backprop", "intensity"])
def test_a_grey_image_stored_in_three_channels_has_the_map_of_the_grey_image(method):
    class Grey(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = randomised("base", 2, in_channels=3).float()

        def forward(self, images):
            return self.network(images.expand(-1, 3, -1, -1))

    images, network = torch.rand(2, 1, 8, 9), Grey()
    in_colour = attend(method, network.network, images.expand(-1, 3, -1, -1))
    torch.testing.assert_close(in_colour, attend(method, network, images))


def test_intensity_is_the_image():
    images = torch.randn(2, 1, 4, 5, 6)
    assert torch.equal(attend("intensity", randomised("base", 3), images), images[:, 0])


def test_what_returns_one_number_per_image_will_do():
    class Returning(nn.Module):
        def __init__(self, shape):
            super().__init__()
            self.shape = shape

        def forward(self, images):
            return (images * torch.tensor([1.0, 2.0, 3.0])).sum((1, 2, 3)).reshape(self.shape)

    images = torch.rand(4, 1, 2, 3)
    for shape in [(4,), (4, 1)]:
        expected = torch.tensor([1.0, 2.0, 3.0]).expand(4, 2, 3)
        torch.testing.assert_close(attend("grad", Returning(shape), images), expected)
    for shape in [(1, 4), (2, 2), (4, 1, 1)]:
        with pytest.raises(InputError, match=r"Returning returned shape .* for a batch of 4: expected one number per"):
            attend("grad", Returning(shape), images)


@pytest.mark.parametrize("method", ["grad", "guided_backprop"])
def test_networks_that_cannot_be_differentiated(method):
    class Boxed(nn.Module):
        def forward(self, images):
            return [images.mean((1, 2, 3))]

    class Detached(nn.Module):
        def forward(self, images):
            return images.relu().mean((1, 2, 3)).detach()

    with pytest.raises(InputError, match="Boxed returned type list"):
        attend(method, Boxed(), torch.zeros(1, 1, 4, 4))
    with pytest.raises(InputError, match="the count has no gradient"):
        attend(method, Detached(), torch.zeros(1, 1, 4, 4))


def test_a_network_may_write_to_its_input():
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4, 1, bias=False))
    network[2].weight.data = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    images = torch.tensor([[[[1.0, -1.0], [-1.0, 1.0]]]])
    before = images.clone()
    for method in ("grad", "guided_backprop"):
        assert torch.equal(attend(method, network, images), torch.tensor([[[1.0, 0.0], [0.0, 4.0]]]))
    assert torch.equal(images, before)
