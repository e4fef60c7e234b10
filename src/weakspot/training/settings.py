"""What a training is given, and what it tells while it lasts."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from weakspot.data.augment import AugmentSettings
from weakspot.training.recipes import Recipe


class Images(Protocol):
    """Images by index, such as `weakspot.data.images.ImageStore`."""

    def __len__(self) -> int:
        """Return the number of images."""

    def batch(self, indices: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Return (len(indices), channels, *spatial), always of one spatial shape."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Images with what is known of them.

    Attributes
    ----------
    images : n images
    counts : (n,), fractional where they are means over raters
    ids : n names, for messages
    """

    images: Images
    counts: NDArray[Any]
    ids: tuple[str, ...]

    def highest_value(self) -> float:
        """Return the highest value of all images."""
        return max(float(self.images.batch(np.array([index])).max()) for index in range(len(self.images)))


@dataclass(frozen=True)
class FitSettings:
    """How to fit, beside the network and the data.

    Attributes
    ----------
    recipe : how the weights are found
    objective : a key of `weakspot.training.objectives.OBJECTIVES`
    seed : of the initial weights, the order of the images and the augmentation
    augmentation : how far images are moved
    precision : "float32", or "bfloat16" for mixed precision in the forward pass
    at_once : images of a batch in one forward pass of one process, None for all
        A matter of memory alone: gradients are added up over the batch.
    """

    recipe: Recipe
    objective: str = "regression"
    seed: int = 0
    augmentation: AugmentSettings = field(default_factory=AugmentSettings)
    precision: str = "float32"
    at_once: int | None = None


@dataclass(frozen=True)
class Progress:
    """Where a training stands, for whoever shows it.

    Attributes
    ----------
    step, steps : done and in all; None where patience decides
    loss : of the last step
    validation_loss, best : the last one and the lowest, NaN before the first
    """

    step: int
    steps: int | None
    loss: float
    validation_loss: float
    best: float
