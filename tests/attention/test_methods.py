"""What holds for all methods: shapes, batches, sizes, and a network left as found."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tests.attention.test_grad_cam import User
from tests.networks.test_networks import CASES, each_architecture, randomised
from weakspot.attention import METHODS, attend, methods
from weakspot.errors import InputError

each_method = pytest.mark.parametrize("method", METHODS)
GENERAL = ["grad", "guided_backprop", "grad_cam"]


def images_of(size, channels=1, batch=3):
    return torch.rand(batch, channels, *size, generator=torch.Generator().manual_seed(1))


@each_method
@each_architecture
@pytest.mark.parametrize(("dims", "size"), CASES)
def test_maps_are_float32_of_the_images_size_whatever_the_channels(method, name, dims, size):
    maps = attend(method, randomised(name, dims, in_channels=2), images_of(size, channels=2))
    assert maps.shape == (3, *size)
    assert maps.dtype == torch.float32
    assert not maps.requires_grad


@each_method
@each_architecture
@pytest.mark.parametrize("size", [(9, 6), (5, 4, 7)])
def test_a_batch_is_its_images_one_by_one(method, name, size):
    network, images = randomised(name, len(size)), images_of(size, batch=5)
    together = attend(method, network, images)
    for at_once in (1, 2, 100):
        torch.testing.assert_close(attend(method, network, images, batch_size=at_once), together)
    one_by_one = torch.cat([attend(method, network, image[None]) for image in images])
    torch.testing.assert_close(one_by_one, together)


def test_what_is_no_image_is_refused():
    network = randomised("gp_unet", 2)
    with pytest.raises(InputError, match=r"images are a ndarray: expected a tensor"):
        attend("cam", network, np.zeros((1, 1, 6, 8), np.float32))
    for shape in ((1, 1, 0, 8), (1, 0, 6, 8), (1, 6, 8)):
        with pytest.raises(InputError, match="expected"):
            attend("cam", network, torch.zeros(shape))


def test_large_sets_are_taken_in_batches_of_bounded_size(monkeypatch):
    monkeypatch.setattr(methods, "VOXELS", 100)
    seen = []
    network = nn.Sequential(nn.Flatten(), nn.Linear(30, 1))
    network.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    attend("grad", network, images_of((5, 6), batch=7))
    assert seen == [3, 3, 1]
    monkeypatch.setattr(methods, "VOXELS", 1)
    attend("grad", network, images_of((5, 6), batch=2))
    assert seen[3:] == [1, 1]


@each_method
@pytest.mark.parametrize("name", ["gp_unet", "base"])
def test_no_images_no_maps(method, name):
    assert attend(method, randomised(name, 2), torch.zeros(0, 1, 6, 8)).shape == (0, 6, 8)


@pytest.mark.parametrize("method", ["cam", "grad_cam", "grad", "guided_backprop"])
def test_raw_and_signed_maps_grow_with_the_head(method):
    network, images = randomised("base", 2), images_of((8, 10))
    maps = attend(method, network, images)
    assert (maps < 0).any()
    assert (maps > 0).any()
    network.head.weight.data *= 3
    torch.testing.assert_close(attend(method, network, images), 3 * maps)


class WithState(nn.Module):
    """Batch norm, dropout, parameters that do and do not learn, and modules in either mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.out = nn.Linear(4, 1)
        self.train()
        self.drop.eval()
        self.conv.bias.requires_grad_(False)

    def forward(self, images):
        return self.out(self.drop(self.norm(self.conv(images)).relu()).mean((2, 3)))


def state_of(network):
    return {
        "values": {key: value.clone() for key, value in network.state_dict().items()},
        "modes": [module.training for module in network.modules()],
        "learn": [parameter.requires_grad for parameter in network.parameters()],
        "gradients": [None if p.grad is None else (id(p.grad), p.grad.clone()) for p in network.parameters()],
        "hooks": [len(module._forward_hooks) + len(module._backward_hooks) for module in network.modules()],
        "random": torch.get_rng_state(),
    }


def assert_same(before, after):
    torch.testing.assert_close(after, before, rtol=0, atol=0)


@pytest.mark.parametrize("method", GENERAL)
def test_a_users_network_is_left_as_found(method):
    network = WithState()
    network(torch.rand(2, 1, 8, 8)).sum().backward()
    before = state_of(network)
    layer = {"layer": "conv"} if method == "grad_cam" else {}
    maps = attend(method, network, images_of((8, 9)), **layer)
    assert_same(before, state_of(network))
    torch.testing.assert_close(maps, attend(method, copy.deepcopy(network).eval(), images_of((8, 9)), **layer))
    with pytest.raises(InputError):
        attend(method, network, images_of((8, 9)), layer="nonesuch")
    with pytest.raises(RuntimeError):
        attend(method, network, images_of((2, 2)), **layer)
    assert_same(before, state_of(network))


@each_method
@each_architecture
def test_weakspots_networks_are_left_as_found(method, name):
    network = randomised(name, 2).train()
    network(images_of((8, 9)).double()).count.sum().backward()
    before = state_of(network)
    attend(method, network, images_of((8, 9)))
    assert_same(before, state_of(network))


def test_a_graph_that_waits_for_its_backward_pass_is_not_disturbed():
    network, twin = WithState(), WithState()
    twin.load_state_dict(network.state_dict())
    losses = [each(images_of((8, 9))).square().sum() for each in (network, twin)]
    attend("grad", network, images_of((8, 9)))
    for loss in losses:
        loss.backward()
    assert_same([p.grad for p in twin.parameters()], [p.grad for p in network.parameters()])


@each_method
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_gradients_may_be_off_around_it(method, context):
    network, images = randomised("base", 2).float(), images_of((8, 9))
    expected = attend(method, network, images)
    with context():
        torch.testing.assert_close(attend(method, network, images + 0), expected)
    torch.testing.assert_close(attend(method, network, images.requires_grad_()), expected)
    assert images.grad is None


def test_images_of_whole_numbers():
    network, images = User(), torch.randint(0, 255, (2, 2, 13, 16), dtype=torch.uint8)
    torch.testing.assert_close(attend("grad", network, images), attend("grad", network, images.float()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "gradcam"}, "no attention method 'gradcam': choose one of cam, gated, grad_cam, grad"),
        ({"images": torch.zeros(1, 8, 8)}, r"images of shape \(1, 8, 8\): expected \(batch, channels, \*spatial\)"),
        ({"batch_size": 0}, "batch_size 0: expected at least 1"),
        ({"layer": "0"}, "layer= is for grad_cam, not for grad"),
    ],
)
def test_wrong_arguments(arguments, message):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    with pytest.raises(InputError, match=message):
        attend(**{"method": "grad", "network": network, "images": torch.zeros(1, 1, 8, 8), **arguments})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@each_method
@each_architecture
def test_maps_on_a_gpu_come_back_to_the_images(method, name):
    network, images = randomised(name, 2).float(), images_of((9, 8))
    expected = attend(method, network, images)
    torch.testing.assert_close(attend(method, network.cuda(), images), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-5), (torch.bfloat16, 0.03)])
def test_a_network_is_used_in_its_own_precision(dtype, tolerance):
    network, images = randomised("gp_unet", 2).float(), images_of((16, 24))
    expected = attend("cam", network, images)
    found = attend("cam", network.to(dtype), images)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()
