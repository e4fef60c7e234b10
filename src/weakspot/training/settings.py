"""What a training is given, and what it tells while it lasts."""

import hashlib
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


def fingerprint(*sets: Examples) -> str:
    """Return a hash of the images and counts, in their order; a run folder's settings keep it."""
    digest = hashlib.sha256()
    for examples in sets:
        whole = np.asarray(examples.counts, "<i8")  # as they were hashed when all were
        counts = whole if (whole == examples.counts).all() else np.asarray(examples.counts, "<f8")
        digest.update(np.ascontiguousarray(counts).tobytes())
        for index in range(len(examples.images)):
            digest.update(examples.images.batch(np.array([index])).tobytes())
    return digest.hexdigest()[:16]


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
