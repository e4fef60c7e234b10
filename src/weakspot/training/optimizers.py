"""Optimizers by name, and the learning rate of every step."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import nn

from weakspot.training.muon import Muon
from weakspot.training.recipes import Recipe

OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter], Recipe], torch.optim.Optimizer]] = {
    # Keras's defaults, which are the paper's; PyTorch's differ.
    "adadelta": lambda parameters, recipe: torch.optim.Adadelta(
        parameters, lr=recipe.learning_rate, rho=0.95, eps=1e-7, weight_decay=recipe.weight_decay
    ),
    "muon": lambda parameters, recipe: Muon(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay),
}

_FIRST = 1 / 25  # of the highest learning rate, at the first step of a cycle


def learning_rate(recipe: Recipe, step: int, steps: int | None) -> float:
    """Return the learning rate of step ``step``, counted from 0, of ``steps`` in all.

    With one cycle (Smith and Topin 2019) it rises along a cosine from 1/25 of the highest to the highest during the
    warm-up, then falls along a cosine to (nearly) zero.
    """
    if not recipe.one_cycle or steps is None:
        return recipe.learning_rate
    done, turn = (step + 1) / steps, recipe.warm_up
    if done < turn:
        return recipe.learning_rate * (_FIRST + (1 - _FIRST) * (1 - math.cos(math.pi * done / turn)) / 2)
    return recipe.learning_rate * (1 + math.cos(math.pi * (done - turn) / (1 - turn))) / 2
