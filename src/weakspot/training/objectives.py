"""What a network is fitted to (paper 3.3, 3.5)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor

from weakspot.errors import InputError


@dataclass(frozen=True)
class Objective:
    """A loss on the network's output, with what the output means.

    Attributes
    ----------
    target : counts (n,) -> targets (n,)
    loss : output (n,), targets (n,) -> mean loss
    start : targets (n,) -> the constant output with the lowest loss, where training may start
    count : output (n,) -> predicted count (n,)
    """

    target: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    start: Callable[[Tensor], Tensor]
    count: Callable[[Tensor], Tensor]


def _log_odds(targets: Tensor) -> Tensor:
    """Return the log-odds of presence, finite where all or no images have the object."""
    present = targets.sum()
    return torch.log((present + 0.5) / (len(targets) - present + 0.5))


# A classifier knows presence alone: its count is the probability, so that rounding it gives 0 or 1 (Table B.10 shows
# one detection per positive image).
OBJECTIVES = {
    "regression": Objective(lambda counts: counts, F.mse_loss, lambda targets: targets.mean(), lambda out: out),
    "classification": Objective(
        lambda counts: (counts > 0).to(counts.dtype),
        F.binary_cross_entropy_with_logits,
        _log_odds,
        torch.sigmoid,
    ),
}


def choose_objective(name: str) -> Objective:
    """Return the objective of that name."""
    if name not in OBJECTIVES:
        raise InputError(f"no objective {name!r}: choose one of {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]


def constant_loss(objective: str, training: ArrayLike, validation: ArrayLike) -> float:
    """Return the loss of validation counts (n,) for the constant output that is best for the training counts (m,).

    >>> constant_loss("regression", [1, 3], [2, 4])
    2.0
    """
    chosen = choose_objective(objective)
    known, targets = (chosen.target(torch.tensor(np.asarray(counts, np.float32))) for counts in (training, validation))
    return chosen.loss(chosen.start(known).expand(len(targets)), targets).item()
