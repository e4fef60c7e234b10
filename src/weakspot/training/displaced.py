"""How far a trained network's maps lie off, as its validation images tell."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from weakspot.attention.displacement import displacement_in
from weakspot.devices import is_out_of_memory
from weakspot.seeding import generator
from weakspot.training.settings import Examples, FitSettings


def displaced(
    network: nn.Module, method: str, settings: FitSettings, validation: Examples, shape: Sequence[int]
) -> tuple[float, ...] | None:
    """Return how far off a network's maps lie (dims,), None where that is not known.

    Parameters
    ----------
    network : trained
    method : that makes the maps, a key of `weakspot.attention.METHODS`
    settings : it was trained with; without flips, how it sees mirrored images tells nothing
    validation : the images that tell: those with something to count
    shape : spatial, of the training images
    """
    if not settings.recipe.flipped_until:
        return None
    something = np.flatnonzero(validation.counts > 0)
    spread = generator(0, "displaced").permutation(something)  # tables are sorted
    images = (validation.images.batch(np.array([index]))[0] for index in spread)
    return displacement_in(method, network, images, shape)


def displaced_if_memory_allows(
    network: nn.Module, method: str, settings: FitSettings, validation: Examples, shape: Sequence[int]
) -> tuple[float, ...] | None:
    """Return what `displaced` does, None where memory does not suffice: the network is trained all the same."""
    try:
        return displaced(network, method, settings, validation, shape)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None
