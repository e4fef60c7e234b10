"""Muon: steps of one size in all directions of a weight matrix."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_ITERATIONS = ((3.4445, -4.7750, 2.0315),) * 5  # of the polynomial a x + b x^3 + c x^5, Jordan's coefficients


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised (Jordan et al. 2024) for weights of convolutions, Adam for vectors and scalars.

    A weight (out, in, *kernel) counts as the matrix M (out, rest). Its step is the momentum's nearest orthogonal
    matrix, ``U V^T`` of ``M = U S V^T``, scaled to the root mean square of Adam's steps, 0.2 (Liu et al. 2025), so
    that both share a learning rate. Weight decay is the matrices' alone. PyTorch's own takes nothing but matrices.

    Parameters
    ----------
    parameters : of a network
    lr : learning rate
    weight_decay : decoupled
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step along the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update = _orthogonal if parameter.ndim > 1 else _adam
                    parameter.mul_(1 - group["lr"] * group["weight_decay"] * (parameter.ndim > 1))
                    parameter.sub_(group["lr"] * update(parameter.grad, self.state[parameter]))


def _orthogonal(gradient: Tensor, state: dict[str, Tensor], momentum: float = 0.95) -> Tensor:
    average = state.setdefault("average", torch.zeros_like(gradient)).lerp_(gradient, 1 - momentum)
    matrix = gradient.lerp(average, momentum).flatten(1)  # Nesterov's
    return (0.2 * math.sqrt(max(matrix.shape)) * orthogonalised(matrix)).reshape(gradient.shape)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Return the matrix with all its singular values brought near 1 (0.7 to 1.2), by Newton and Schulz's iteration."""
    if len(matrix) > matrix.shape[1]:
        return orthogonalised(matrix.T).T
    matrix = matrix / (matrix.norm() + 1e-20)
    for a, b, c in _ITERATIONS:
        square = matrix @ matrix.T
        matrix = a * matrix + (b * square + c * square @ square) @ matrix
    return matrix


def _adam(gradient: Tensor, state: dict[str, Tensor], betas: tuple[float, float] = (0.9, 0.999)) -> Tensor:
    step = state.setdefault("step", torch.zeros(())).add_(1)
    mean = state.setdefault("mean", torch.zeros_like(gradient)).lerp_(gradient, 1 - betas[0])
    square = state.setdefault("square", torch.zeros_like(gradient)).lerp_(gradient.square(), 1 - betas[1])
    return mean / (1 - betas[0] ** step) / ((square / (1 - betas[1] ** step)).sqrt() + 1e-8)
