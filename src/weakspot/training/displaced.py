"""How far a trained network's maps lie off, measured once, when the training is complete."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from weakspot.attention.displacement import displacement_in
from weakspot.attention.methods import DEFAULT_METHOD
from weakspot.devices import is_out_of_memory
from weakspot.seeding import generator
from weakspot.training.settings import Examples, FitSettings


def displaced(
    network: nn.Module, name: str, settings: FitSettings, validation: Examples, shape: Sequence[int]
) -> tuple[float, ...] | None:
    """Return how far off the maps of an architecture's own method lie (dims,), None where that is not known.

    Parameters
    ----------
    network, name : trained, and its architecture
    settings : it was trained with; without flips, how it sees mirrored images tells nothing
    validation : the images that tell: those with something to count
    shape : spatial, of the training images
    """
    if not settings.recipe.flipped_until:
        return None
    something = np.flatnonzero(validation.counts > 0)
    spread = generator(0, "displaced").permutation(something)  # tables are sorted
    images = (validation.images.batch(np.array([index]))[0] for index in spread)
    try:
        return displacement_in(DEFAULT_METHOD[name], network, images, shape)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None  # the network is trained all the same
