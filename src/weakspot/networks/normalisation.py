"""Standardised features as a way to train: norms that are fixed before the first step and folded away after the last.

A norm makes the features of the training images, as the first weights give them, have mean 0 and variance 1, channel
by channel (as a data-dependent initialisation does: Krähenbühl et al. 2016, Mishkin and Matas 2016), and the optimizer
then works on weights for such features. It is an affine map per channel, so it folds exactly into the convolution
before it, and on the pooled features into the head. The delivered network is the paper's, parameter for parameter.

The statistics do not follow the batches, as those of batch norm do. The mean of an image's features is its count, so
batch norm gives all batches the same mean and spread of counts, which counts of lesions, many zeros and a long tail, do
not have (benchmarks/README.md says what that cost). And a batch may be passed forward in parts, or volume by volume.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from weakspot.networks.blocks import Convolution, Head

_EPSILON = 1e-5


class Normalisation(nn.Module):
    """The affine map ``weight * (x - mean) / sqrt(variance + epsilon) + bias``, per channel.

    Weight and bias are trained; mean and variance are set by `standardise` or `attach_to_trained`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.gathered: list[tuple[int, Tensor, Tensor]] | None = None
        self.used_at_once = False

    def forward(self, values: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
        """Return (scale, shift), each (channels,).

        Parameters
        ----------
        values : () -> what is normed, (batch, channels, *any), asked for where statistics are gathered
        """
        mean, variance = self.mean, self.variance
        if self.gathered is not None:
            found = values().to(self.weight.dtype).transpose(0, 1).flatten(1)
            own_variance, own_mean = torch.var_mean(found, dim=1, correction=0)
            self.gathered.append((found.shape[1], own_mean, own_variance))
            if self.used_at_once:
                mean, variance = own_mean, own_variance
        scale = self.weight * (variance + _EPSILON).rsqrt()
        return scale, self.bias - mean * scale

    def gather(self, use_at_once: bool) -> None:
        """Gather the statistics of every batch from now on, and norm each batch by its own or by the fixed ones."""
        self.gathered, self.used_at_once = [], use_at_once

    @torch.no_grad()
    def settle(self) -> None:
        """Take the statistics of all batches gathered, as of one, as the fixed ones."""
        assert self.gathered is not None
        numbers, means, variances = zip(*self.gathered, strict=True)
        share = torch.tensor(numbers).to(self.mean)[:, None] / sum(numbers)
        mean, within = torch.stack(means), torch.stack(variances)
        self.mean.copy_((share * mean).sum(0))
        self.variance.copy_((share * (within + (mean - self.mean).square())).sum(0))
        self.gathered = None


def _layers(network: nn.Module) -> Iterator[Convolution | Head]:
    """Yield the layers that have norms: a network's own convolutions and its head."""
    return (layer for layer in network.children() if isinstance(layer, Convolution | Head))


def _attach(network: nn.Module) -> None:
    for layer in _layers(network):
        layer.norm = Normalisation(len(layer.weight)).to(layer.weight)


@torch.no_grad()
def standardise(network: nn.Module, batches: Callable[[], Iterable[Tensor]]) -> None:
    """Put norms after every convolution, before its ReLU, and on the pooled features, with the images' statistics.

    The head's come last, from features as the fixed norms of the convolutions give them: its weights amplify small
    differences of the pooled features, so that those of features normed batch by batch shift the count (by up to 0.9 in
    one measured case).

    Parameters
    ----------
    network : of `weakspot.networks.build`
    batches : () -> images (batch, channels, *spatial), called twice
    """
    _attach(network)
    layers = list(_layers(network))
    for kind in (Convolution, Head):
        norms = [layer.norm for layer in layers if isinstance(layer, kind) and isinstance(layer.norm, Normalisation)]
        for norm in norms:
            norm.gather(use_at_once=True)
        for images in batches():
            network(images)
        for norm in norms:
            norm.settle()


@torch.no_grad()
def attach_to_trained(network: nn.Module, batches: Callable[[], Iterable[Tensor]]) -> None:
    """Put norms on a network that is trained already, which leaves its counts as they are.

    The norms' own parameters undo the statistics of the features. The head's are undone in its weights, so that these
    are for features of unit variance, as in a network that starts anew.

    Parameters
    ----------
    batches : () -> images (batch, channels, *spatial), called once
    """
    _attach(network)
    layers = list(_layers(network))
    norms = [layer.norm for layer in layers if isinstance(layer.norm, Normalisation)]
    for layer, norm in zip(layers, norms, strict=True):
        norm.weight.fill_((1 + _EPSILON) ** 0.5)  # with statistics 0 and 1 the identity
        if isinstance(layer, Convolution):
            norm.bias.copy_(layer.bias)
        norm.gather(use_at_once=False)
    for images in batches():
        network(images)
    for layer, norm in zip(layers, norms, strict=True):
        norm.settle()
        deviation = (norm.variance + _EPSILON).sqrt()
        if isinstance(layer, Convolution):
            norm.weight.copy_(deviation)
            norm.bias.add_(norm.mean)
        else:
            norm.weight.fill_(1)
            layer.bias.add_(layer.weight @ norm.mean)
            layer.weight.mul_(deviation)


@torch.no_grad()
def fold(network: nn.Module) -> None:
    """Fold the norms into the weights and take them off; the counts stay the same."""
    for layer in _layers(network):
        if layer.norm is not None:
            weight, bias = layer.normalised(layer.norm(_nothing))
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
            layer.norm = None


def _nothing() -> Tensor:
    raise AssertionError("statistics are still being gathered")
