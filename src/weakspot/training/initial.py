"""A network's first weights."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from weakspot.networks.blocks import Head
from weakspot.seeding import generator
from weakspot.training.objectives import OBJECTIVES
from weakspot.training.settings import FitSettings


@torch.no_grad()
def initialise(network: nn.Module, settings: FitSettings, counts: NDArray[np.integer[Any]]) -> None:
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


def let_go_of_bias(network: nn.Module, settings: FitSettings) -> Head:
    """Have the head train without a bias where the recipe says so, and return it."""
    head = network.get_submodule("head")
    assert isinstance(head, Head)
    head.zero_bias = settings.recipe.zero_bias and settings.objective == "regression" and head.pool == "mean"
    return head
