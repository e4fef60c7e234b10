"""What the gradient methods need of a network: one number per image, and its derivative."""

import torch
from torch import Tensor, nn

from weakspot.errors import InputError
from weakspot.types import CountOutput


def counts_of(network: nn.Module, images: Tensor) -> Tensor:
    """Return the counts (batch,) of a module that returns (batch,), (batch, 1) or a `weakspot.types.CountOutput`."""
    # A copy, for a module may write to what it is given, say with ReLU(inplace=True) as its first layer.
    output = network(images.clone())
    counts = output.count if isinstance(output, CountOutput) else output
    batch = len(images)
    if not isinstance(counts, Tensor) or counts.shape not in {(batch,), (batch, 1)}:
        what = f"shape {tuple(counts.shape)}" if isinstance(counts, Tensor) else f"type {type(counts).__name__}"
        raise InputError(
            f"{type(network).__name__} returned {what} for a batch of {batch}: expected one number per image, of shape "
            f"({batch},) or ({batch}, 1); wrap it in a module that returns the output to explain"
        )
    return counts.reshape(batch)


def derivative(counts: Tensor, inputs: Tensor) -> Tensor:
    """Return the derivative of each image's count with respect to that image's entry of ``inputs``."""
    if not counts.requires_grad:
        raise InputError(
            "the count has no gradient: the network detaches it, runs under no_grad, or uses neither image nor layer"
        )
    # Images do not meet in a network in evaluation mode, so one pass differentiates all of them.
    return torch.autograd.grad(counts.sum(), inputs)[0]
