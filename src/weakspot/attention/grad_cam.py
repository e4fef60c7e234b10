"""Grad-CAM: any layer's features, weighed by the mean derivative of the count (section 2.1.1, equations 3 and 4)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weakspot.attention.cam import pooling_head, weighted_sum
from weakspot.attention.scalar import counts_of, derivative
from weakspot.errors import InputError
from weakspot.networks.blocks import DIMS, Head
from weakspot.types import CountOutput


def grad_cam(network: nn.Module, images: Tensor, layer: nn.Module | str | None = None) -> Tensor:
    """Weigh features by the mean of the count's derivative: ``M = sum_k a_k f_k``, ``a_k = 1/Z sum d count / d f_k``.

    ``Z`` is the number of voxels of a feature map. Nothing is set to zero (section 3.6).

    Of weakspot's networks the features are those that the head pools. Raising such a map ``f_k`` by a constant raises
    its mean, and its maximum, by that constant, so ``sum d count / d f_k = w_k``, the head's weight. Hence
    ``a_k = w_k / Z``, which needs no backward pass, and with features of one scale this is the `cam` divided by ``Z``.

    Parameters
    ----------
    network : any module with one number per image, in evaluation mode
    images : (batch, channels, *spatial)
    layer : the module, or its dotted name, whose output is the features; for networks other than weakspot's
        Its output is (batch, features, *spatial) of any size, and is taken to cover the same extent as the image.

    Returns
    -------
    (batch, *spatial)
        Signed, upsampled linearly to the image's size.

    Raises
    ------
    InputError
        For a layer that does not exist, does not run exactly once, or has no spatial output, and as `grad`.

    Examples
    --------
    >>> features = nn.Conv2d(1, 4, 3, stride=2)
    >>> network = nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))
    >>> grad_cam(network, torch.rand(2, 1, 28, 21), layer=features).shape
    torch.Size([2, 28, 21])
    """
    if layer is None:
        return _pooled(network, images)
    if isinstance(getattr(network, "head", None), Head):
        raise InputError(
            f"{type(network).__name__} is one of weakspot's networks, which name their features: no layer="
        )
    return _layer(network, images, _find(network, layer) if isinstance(layer, str) else layer)


@torch.no_grad()
def _pooled(network: nn.Module, images: Tensor) -> Tensor:
    head = pooling_head(network, "grad_cam without layer=")
    output: CountOutput = network(images)
    weights = torch.split(head.weight, [part.shape[1] for part in output.features])
    alphas = [weight / part.shape[2:].numel() for part, weight in zip(output.features, weights, strict=True)]
    return weighted_sum(output.features, alphas, images.shape[2:])


def _layer(network: nn.Module, images: Tensor, layer: nn.Module) -> Tensor:
    seen: list[Any] = []

    def cut(module: nn.Module, inputs: Any, output: Any) -> Any:
        """Start the graph at the layer's output: what comes before needs no gradient."""
        if isinstance(output, Tensor) and output.ndim == images.ndim:
            output = output.detach().requires_grad_()
        seen.append(output)
        # A copy, for the next layer may write to it.
        return output.clone() if isinstance(output, Tensor) else output

    handle = layer.register_forward_hook(cut)
    try:
        counts = counts_of(network, images)
    finally:
        handle.remove()
    if len(seen) != 1:
        raise InputError(f"the layer {type(layer).__name__} ran {len(seen)} times: choose one that runs once")
    [features] = seen
    if not isinstance(features, Tensor) or features.ndim != images.ndim:
        what = f"shape {tuple(features.shape)}" if isinstance(features, Tensor) else f"type {type(features).__name__}"
        raise InputError(
            f"the layer {type(layer).__name__} returned {what} for images {tuple(images.shape)}: "
            "expected features (batch, channels, *spatial)"
        )
    alphas = derivative(counts, features).flatten(2).mean(2)
    maps = (features.detach() * alphas.reshape(*alphas.shape, *[1] * (images.ndim - 2))).sum(1, keepdim=True)
    shape = images.shape[2:]
    return F.interpolate(maps, size=shape, mode=DIMS[len(shape)].linear, align_corners=False)[:, 0]


def _find(network: nn.Module, name: str) -> nn.Module:
    layers: dict[str, nn.Module] = dict(network.named_modules())
    if name not in layers:
        known = ", ".join(key for key in layers if key)
        raise InputError(f"no layer {name!r} in {type(network).__name__}: it has {known or 'none'}")
    return layers[name]
