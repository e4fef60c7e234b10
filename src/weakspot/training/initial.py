"""A network's first weights."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from weakspot.networks.blocks import Head
from weakspot.seeding import generator
from weakspot.training.objectives import OBJECTIVES
from weakspot.training.settings import FitSettings

_RIDGE = 1 / 30  # of the variance of a standardised feature


@torch.no_grad()
def initialise(network: nn.Module, settings: FitSettings, counts: NDArray[Any]) -> None:
    """Draw the network's weights.

    Biases are zero. "gaussian" draws from N(0, 1) (section 3.5), "he" from N(0, 2 / fan-in), and N(0, 1 / fan-in) for
    the head. For standardised features, the head's bias is the constant output with the lowest loss on ``counts`` (n,).
    """
    rng = generator(settings.seed, "weights")
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
            continue
        deviation = 1.0
        if settings.recipe.initial == "he":
            layered = parameter.ndim > 1
            fan_in = parameter[0].numel() if layered else parameter.numel()
            deviation = math.sqrt((2 if layered else 1) / fan_in)
        parameter.copy_(torch.from_numpy(deviation * rng.standard_normal(parameter.shape)))
    if settings.recipe.standardise:
        objective = OBJECTIVES[settings.objective]
        start = objective.start(objective.target(torch.tensor(counts, dtype=torch.float32)))
        let_go_of_bias(network, settings).bias.copy_(start)


@torch.no_grad()
def fit_head(network: nn.Module, images: Iterable[Tensor], counts: NDArray[Any]) -> None:
    """Fit the head of a trained network with norms to new counts, before the rest is trained on.

    In images of another kind a trained network may count five times too many, and what then presses all features down
    together kills its ReLUs: the network counts nothing for ever. (That fine-tuning distorts features less after a
    linear probe is known: Kumar et al. 2022.) The head's weights are the ridge regression of the counts on its
    standardised features, drawn towards the trained weights times the factor that fits best, not below zero.

    Parameters
    ----------
    network : as `weakspot.networks.normalisation.attach_to_trained` leaves it
    images : batches of those that its statistics are of
    counts : (n,) of these
    """
    head = network.get_submodule("head")
    assert isinstance(head, Head)
    assert head.norm is not None
    scale, shift = head.norm(lambda: torch.empty(0))
    pooled = torch.cat([head.pooled(network(each).features) for each in images])
    features = (pooled * scale + shift).cpu().double()  # MPS has no float64
    targets, weight = torch.tensor(counts, dtype=torch.float64), head.weight.cpu().double()
    rest, known = targets - targets.mean(), features @ weight
    factor = (known @ rest / (known @ known).clamp(min=1e-12)).clamp(min=0)
    towards = factor * weight
    ridge = _RIDGE * len(targets) * torch.eye(features.shape[1]).to(features)
    change = torch.linalg.solve(features.T @ features + ridge, features.T @ (rest - features @ towards))
    head.weight.copy_(towards + change)
    head.bias.copy_(targets.mean())


def let_go_of_bias(network: nn.Module, settings: FitSettings) -> Head:
    """Have the head train without a bias where the recipe says so, and return it."""
    head = network.get_submodule("head")
    assert isinstance(head, Head)
    head.zero_bias = settings.recipe.zero_bias and settings.objective == "regression" and head.pool == "mean"
    return head
