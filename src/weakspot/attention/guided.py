"""Guided backpropagation: the gradient without what flows back negatively through ReLUs (section 2.1.2)."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from weakspot.attention.scalar import counts_of, derivative
from weakspot.errors import InputError


def guided_backprop(network: nn.Module, images: Tensor) -> Tensor:
    """Differentiate the count by the image, setting negative derivatives to zero wherever they enter a ReLU.

    ReLUs are found in the graph that autograd recorded of the forward pass, not in the module tree: it has one node
    for each ReLU that was computed, however it was called (a module, a module used twice, `torch.relu`, ``x.relu_()``,
    ``x.clamp(min=0)``, `torch.maximum` with zero, `torch.nn.RNN`). Each node is given a hook that sets the negative
    entries of its incoming gradient to zero; the graph, hooks and all, is gone when the map is made.

    Other activations, such as leaky ReLU or ReLU6, keep their own gradient, as the method defines ReLU alone. Where a
    ReLU could be out of sight the network is refused: custom autograd functions, which compiled modules and reentrant
    checkpoints are as well, code fused by TorchScript or cuDNN, and writing in place to a part of a tensor. A ReLU that
    is spelled with other operations, as in ``x * (x > 0)``, is not one to autograd and is not recognised.

    Parameters
    ----------
    network : any module with one number per image, in evaluation mode
    images : (batch, channels, *spatial)

    Returns
    -------
    (batch, *spatial)
        Signed: the derivative is only masked where it enters a ReLU, and a convolution lies between the first ReLU and
        the image. Summed over channels as in `grad`.

    Raises
    ------
    InputError
        For a network without ReLU, or one that may hide some, and as `grad`.

    Examples
    --------
    Two units with weights 1 and -1 in the head: plain gradient 2 - 3, and guided 2.

    >>> hidden, head = nn.Linear(1, 2, bias=False), nn.Linear(2, 1, bias=False)
    >>> hidden.weight.data = torch.tensor([[2.0], [3.0]])
    >>> head.weight.data = torch.tensor([[1.0, -1.0]])
    >>> network = nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), head)
    >>> guided_backprop(network, torch.ones(1, 1, 1, 1))
    tensor([[[2.]]])
    """
    images = images.detach().requires_grad_()
    return guided_derivative(counts_of(network, images), images, type(network).__name__).sum(1)


def guided_derivative(counts: Tensor, inputs: Tensor, name: str = "the network") -> Tensor:
    """Return the derivative of counts by ``inputs``, masked where it enters a ReLU; ``name`` is for messages."""
    nodes = list(_graph(counts))
    opaque = sorted({node.name() for node in nodes if _is_opaque(node)})
    if opaque:
        raise InputError(
            f"guided_backprop cannot see all ReLUs of {name}: {', '.join(opaque)} may hide some; run "
            "the network uncompiled and without custom autograd functions, or take grad"
        )
    relus = [node for node in nodes if _is_relu(node)]
    if not relus and counts.requires_grad:
        raise InputError(f"{name} computed no ReLU, so guided_backprop would equal the plain gradient: take grad")
    for node in relus:
        node.register_prehook(_mask_negative)
    return derivative(counts, inputs)


def _graph(output: Tensor) -> Iterator[Node]:
    """Yield every node of the graph that autograd recorded of ``output``, once."""
    found: set[Node] = set()
    pending = [output.grad_fn]
    while pending:
        node = pending.pop()
        if node is not None and node not in found:
            found.add(node)
            pending += [after for after, _ in node.next_functions]
            yield node


def _mask_negative(gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(F.relu(gradient) for gradient in gradients)


def _is_relu(node: Node) -> bool:
    test = _RELUS.get(node.name().rstrip("0123456789"))
    return test is not None and test(node)


def _is_zero(value: Any) -> bool:
    return value is not None and not torch.as_tensor(value).any()


# What autograd calls the nodes that can be a ReLU, less the number at the end, and how what they saved tells.
_RELUS: dict[str, Callable[[Any], bool]] = {
    "ReluBackward": lambda node: True,
    "ThresholdBackward": lambda node: _is_zero(node._saved_threshold),
    "ClampMinBackward": lambda node: _is_zero(node._saved_min),
    "ClampBackward": lambda node: _is_zero(node._saved_min) and node._saved_max is None,
    "MaximumBackward": lambda node: _is_zero(node._saved_self) or _is_zero(node._saved_other),
    "FmaxBackward": lambda node: _is_zero(node._saved_self) or _is_zero(node._saved_other),
}

_OPAQUE = ("CopySlices", "DifferentiableGraph", "CudnnRnn", "MiopenRnn")


def _is_opaque(node: Any) -> bool:
    name: str = node.name()
    if name == "BackwardHookFunctionBackward":  # the identity to which modules with backward hooks attach them
        return False
    return isinstance(node, BackwardCFunction) or any(part in name for part in _OPAQUE)
