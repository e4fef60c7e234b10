"""How far a trained network's maps lie off, as its validation images tell."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from weakspot.attention.displacement import half_shift, mirrored_maps
from weakspot.detection import candidates
from weakspot.detection.partners import half_offset
from weakspot.detection.peaks import SIZE_VOX
from weakspot.devices import is_out_of_memory
from weakspot.evaluation.operating_point import whole_counts
from weakspot.seeding import generator
from weakspot.training.settings import Examples, FitSettings


def displaced(
    network: nn.Module, method: str, settings: FitSettings, validation: Examples, shape: Sequence[int]
) -> tuple[float, ...] | None:
    """Return how far off a network's detections lie on average (dims,), None where that is not known.

    As many of the highest candidates are taken in each image and its mirrored copy as it has objects, in maps as they
    are. Where too few of them are of the same things, as often where counts are those of a slice, or they say more than
    the network sees (``network.halo``), the maps as a whole tell (`displaced_by_maps`).

    Parameters
    ----------
    network : trained
    method : that makes the maps, a key of `weakspot.attention.METHODS`
    settings : it was trained with; without flips, how it sees mirrored images tells nothing
    validation : the images that tell: those with something to count
    shape : spatial, of the training images
    """
    pairs, counts = _pairs(network, method, settings, validation, shape)
    halo = int(network.halo)  # type: ignore[arg-type]
    by_maps = half_shift(pairs, halo)
    if by_maps is None:
        return None
    points = [
        (candidates(one.numpy()).points[:count], candidates(other.numpy()).points[:count])
        for (one, other), count in zip(pairs, whole_counts(counts), strict=True)
    ]
    # Either side may still lie off by a filter's size, in opposite directions.
    by_points = half_offset(points, by_maps, 2 * SIZE_VOX)
    return by_maps if by_points is None or np.abs(by_points).max() > halo else by_points


def displaced_by_maps(
    network: nn.Module, method: str, settings: FitSettings, validation: Examples, shape: Sequence[int]
) -> tuple[float, ...] | None:
    """Return how far off a network's maps lie as a whole, see `weakspot.attention.displacement.half_shift`."""
    pairs, _ = _pairs(network, method, settings, validation, shape)
    return half_shift(pairs, int(network.halo))  # type: ignore[arg-type]


def _pairs(
    network: nn.Module, method: str, settings: FitSettings, validation: Examples, shape: Sequence[int]
) -> tuple[list[tuple[Tensor, Tensor]], list[float]]:
    """Return the maps of images and of their mirrored copies, and the counts; none where they would tell nothing."""
    if not settings.recipe.flipped_until:
        return [], []
    something = np.flatnonzero(validation.counts > 0)
    spread = generator(0, "displaced").permutation(something)  # tables are sorted
    images = (validation.images.batch(np.array([index]))[0] for index in spread)
    pairs = mirrored_maps(method, network, images, shape)
    return pairs, validation.counts[spread[: len(pairs)]].tolist()


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
