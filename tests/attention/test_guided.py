"""Guided backpropagation: by hand, against Captum, for every way to write a ReLU, and refusals."""

import pytest
import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop
from torch import nn
from torch.utils.checkpoint import checkpoint

from tests.networks.plain import plain
from tests.networks.test_networks import CASES, each_architecture, randomised
from weakspot.attention import attend
from weakspot.attention.gradient import grad
from weakspot.attention.guided import guided_backprop
from weakspot.errors import InputError

ignore_captums_warnings = pytest.mark.filterwarnings(
    "ignore:Setting backward hooks on ReLU", "ignore:Input Tensor 0 did not already require gradients"
)


def test_three_layers_by_hand():
    """The image is one pixel of value 1.

    forward   hidden = (1, 2); sums = (1 - 2, 1 + 2, -1 + 2) = (-1, 3, 1), of which ReLU passes the last two
    backward  head's weights (5, 1, -2), guided (5, 1, 0), passed (0, 1, 0), at hidden (1, 1), at the pixel 1 + 2 = 3
    plain     passed (0, 1, -2), at hidden (1 + 2, 1 - 2) = (3, -1), at the pixel 3 - 2 = 1
    deconvolution, which masks by the gradient alone: (5, 1, 0), at hidden (5 + 1, -5 + 1) = (6, -4), at the pixel 6
    """
    layers = [nn.Linear(1, 2, bias=False), nn.Linear(2, 3, bias=False), nn.Linear(3, 1, bias=False)]
    layers[0].weight.data = torch.tensor([[1.0], [2.0]])
    layers[1].weight.data = torch.tensor([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    layers[2].weight.data = torch.tensor([[5.0, 1.0, -2.0]])
    network = nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    image = torch.ones(1, 1, 1, 1)
    assert attend("grad", network, image).item() == 1
    assert attend("guided_backprop", network, image).item() == 3


@each_architecture
@pytest.mark.parametrize(("dims", "size"), CASES)
@ignore_captums_warnings
def test_of_weakspots_networks_it_is_captums_of_the_networks_written_out(name, dims, size):
    network = randomised(name, dims)
    images = torch.rand(2, 1, *size, dtype=torch.float64)
    expected = GuidedBackprop(plain(name, network, dims, 4)).attribute(images)[:, 0]
    torch.testing.assert_close(attend("guided_backprop", network, images), expected.float())


@pytest.mark.parametrize("dims", [2, 3])
def test_it_is_not_the_gradient_and_leaves_the_gradient_alone(dims):
    network = randomised("base", dims)
    images = torch.rand(2, 1, *[8, 9, 10][:dims], dtype=torch.float64)
    before = grad(network, images)
    guided = guided_backprop(network, images)
    assert not torch.allclose(guided, before, rtol=0.1)
    assert (guided < 0).any()
    assert torch.equal(grad(network, images), before)


class Written(nn.Module):
    """Three convolutions, with ReLU written as ``relu`` says: a function, or a module for both places."""

    def __init__(self, relu):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 6, 3)
        self.out = nn.Conv2d(6, 1, 3)
        self.relu = relu

    def forward(self, images):
        hidden = self.relu(self.first(images))
        return self.out(self.relu(self.second(hidden))).mean((2, 3))


class Modules(Written):
    """The same with a ReLU module for each place, which Captum handles."""

    def __init__(self):
        super().__init__(nn.ReLU())
        self.other = nn.ReLU()

    def forward(self, images):
        hidden = self.relu(self.first(images))
        return self.out(self.other(self.second(hidden))).mean((2, 3))


SPELLINGS = {
    "reused module": nn.ReLU(),
    "reused module in place": nn.ReLU(inplace=True),
    "F.relu": F.relu,
    "F.relu in place": lambda x: F.relu(x, inplace=True),
    "F.relu_": F.relu_,
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "Tensor.relu": torch.Tensor.relu,
    "Tensor.relu_": torch.Tensor.relu_,
    "clamp": lambda x: x.clamp(min=0),
    "clamp of a tensor": lambda x: x.clamp(min=torch.zeros(())),
    "clamp_": lambda x: x.clamp_(0.0),
    "clip": lambda x: torch.clip(x, min=0),
    "clamp_min": lambda x: x.clamp_min(0),
    "clamp_min of a tensor": lambda x: torch.clamp_min(x, torch.zeros(())),
    "threshold": lambda x: F.threshold(x, 0, 0),
    "threshold_": lambda x: F.threshold_(x, 0, 0),
    "Threshold": nn.Threshold(0, 0),
    "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "max": lambda x: torch.max(torch.zeros(()), x),
    "fmax": lambda x: torch.fmax(x, torch.zeros(())),
    "checkpoint": lambda x: checkpoint(torch.relu, x, use_reentrant=False),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@ignore_captums_warnings
def test_every_way_to_write_relu(spelling):
    images = torch.rand(2, 1, 9, 10)
    expected = GuidedBackprop(Modules()).attribute(images)[:, 0]
    assert not torch.allclose(expected, attend("grad", Modules(), images), rtol=0.1)
    torch.testing.assert_close(attend("guided_backprop", Modules(), images), expected)
    torch.testing.assert_close(attend("guided_backprop", Written(SPELLINGS[spelling]), images), expected)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_torchscript():
    images = torch.rand(2, 1, 9, 10)
    scripted = torch.jit.script(Modules())
    for _ in range(3):  # it optimises itself in the first calls
        maps = attend("guided_backprop", scripted, images)
        torch.testing.assert_close(maps, attend("guided_backprop", Modules(), images))


def test_clamps_that_are_no_relu_keep_their_gradient():
    images = torch.rand(2, 1, 9, 10)
    for clamp in (lambda x: x.clamp(min=0.1), lambda x: x.clamp(0, 1), lambda x: torch.maximum(x, x / 2), F.relu6):
        with pytest.raises(InputError, match="Written computed no ReLU"):
            attend("guided_backprop", Written(clamp), images)


@ignore_captums_warnings
def test_other_activations_beside_relu_keep_their_gradient():
    class Mixed(Modules):
        def forward(self, images):
            hidden = F.leaky_relu(self.first(images), 0.2)
            return torch.sigmoid(self.out(self.other(self.second(hidden)))).mean((2, 3))

    images = torch.rand(2, 1, 9, 10)
    expected = GuidedBackprop(Mixed()).attribute(images)[:, 0]
    torch.testing.assert_close(attend("guided_backprop", Mixed(), images), expected)


def test_recurrent_layers_and_transformers():
    class Recurrent(nn.Module):
        """The rows of an image as a sequence; with ``unrolled`` the same steps written out with F.relu."""

        def __init__(self, unrolled):
            super().__init__()
            torch.manual_seed(0)
            self.rnn = nn.RNN(5, 7, nonlinearity="relu", batch_first=True)
            self.out = nn.Linear(7, 1)
            self.unrolled = unrolled

        def forward(self, images):
            rows = images[:, 0]
            if not self.unrolled:
                return self.out(self.rnn(rows)[0][:, -1])
            state = rows.new_zeros(len(rows), 7)
            for row in rows.unbind(1):
                first = F.linear(row, self.rnn.weight_ih_l0, self.rnn.bias_ih_l0)
                state = F.relu(first + F.linear(state, self.rnn.weight_hh_l0, self.rnn.bias_hh_l0))
            return self.out(state)

    class Transformer(nn.Module):
        """An encoder layer, whose fast path fuses its ReLU; with ``activation`` told as a function, it has none."""

        def __init__(self, activation):
            super().__init__()
            torch.manual_seed(0)
            self.encoder = nn.TransformerEncoderLayer(4, 2, 8, activation=activation, batch_first=True)
            self.out = nn.Linear(4, 1)

        def forward(self, images):
            return self.out(self.encoder(images[:, 0]).mean(1))

    for fused, written in [
        (Recurrent(False), Recurrent(True)),
        (Transformer("relu"), Transformer(lambda x: x.clamp(min=0))),
    ]:
        images = torch.rand(2, 1, 6, 5 if isinstance(fused, Recurrent) else 4)
        maps = attend("guided_backprop", fused, images)
        torch.testing.assert_close(maps, attend("guided_backprop", written, images))
        assert not torch.allclose(maps, attend("grad", fused, images))


class Hidden(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        ctx.save_for_backward(values)
        return values.relu()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * (ctx.saved_tensors[0] > 0)


def relu_of_a_part(values):
    values[:, :3].relu_()
    return values


@pytest.mark.parametrize(
    ("relu", "what"),
    [
        (Hidden.apply, "HiddenBackward"),
        (lambda x: checkpoint(torch.relu, x, use_reentrant=True), "CheckpointFunctionBackward"),
        (relu_of_a_part, "CopySlices"),
        (torch.compile(torch.relu, backend="aot_eager"), "CompiledFunctionBackward"),
    ],
    ids=["custom function", "reentrant checkpoint", "in place on a part", "compiled"],
)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # the compiler's
def test_where_a_relu_may_be_hidden_it_refuses(relu, what):
    with pytest.raises(InputError, match=rf"guided_backprop cannot see all ReLUs of Written: .*{what}"):
        attend("guided_backprop", Written(relu), torch.rand(1, 1, 9, 10))


def test_without_relu_it_refuses():
    with pytest.raises(InputError, match="computed no ReLU, so guided_backprop would equal the plain gradient"):
        attend("guided_backprop", Written(torch.tanh), torch.rand(1, 1, 9, 10))


def test_a_module_with_backward_hooks_of_the_users_is_no_obstacle():
    network, calls = Modules(), []
    handle = network.other.register_full_backward_hook(lambda *arguments: calls.append(arguments))
    images = torch.rand(2, 1, 9, 10)
    maps = attend("guided_backprop", network, images)
    assert len(calls) == 1
    handle.remove()
    torch.testing.assert_close(maps, attend("guided_backprop", network, images))
