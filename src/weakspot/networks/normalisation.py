"""Batch norm as a way to train: attached to a network for the fitting, folded away before it is delivered.

Batch norm is an affine map per channel once its statistics are fixed, so it folds exactly into the convolution before it,
and on the pooled features into the head. The delivered network is the paper's, parameter for parameter.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from weakspot.networks.blocks import DIMS, Convolution, Head

_Norm = nn.modules.batchnorm._BatchNorm


def _normalised(network: nn.Module) -> Iterator[Convolution | Head]:
    """Yield the layers that are followed by batch norm: a network's own convolutions and its head."""
    return (layer for layer in network.children() if isinstance(layer, Convolution | Head))


def attach(network: nn.Module) -> None:
    """Put batch norm after every convolution, before its ReLU, and on the pooled features."""
    for layer in _normalised(network):
        if isinstance(layer, Head):
            layer.norm = nn.BatchNorm1d(len(layer.weight))
        else:
            layer.norm = DIMS[layer.dims].batch_norm(len(layer.weight))


@torch.no_grad()
def fold(network: nn.Module) -> None:
    """Fold the norms, with their running statistics, into the weights and take them off; counts stay the same.

    With ``s = gamma / sqrt(variance + eps)``: after a convolution ``w <- s w, b <- s (b - mean) + beta``; on pooled
    features before the head ``b <- b + w . (beta - s mean), w <- s w``.
    """
    for layer in _normalised(network):
        norm = layer.norm
        if norm is None:
            continue
        assert isinstance(norm, _Norm)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        shift = norm.bias - scale * norm.running_mean
        if isinstance(layer, Head):
            layer.bias.add_(layer.weight @ shift)
            layer.weight.mul_(scale)
        else:
            layer.weight.mul_(scale.reshape(-1, *[1] * layer.dims, 1))
            layer.bias.copy_(scale * layer.bias + shift)
        layer.norm = None


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Recompute the running statistics as the plain averages over the batches, and leave the network in eval mode.

    Statistics gathered along the way lag behind the weights: at a high learning rate they are wrong by far.
    """
    norms = [module for module in network.modules() if isinstance(module, _Norm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    for images in batches:
        network(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
