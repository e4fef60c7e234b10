"""How far a network's maps lie from what they respond to, told by mirrored images, without any location.

Counts do not say where a map responds. A mean over the image stays the same if the whole map moves, and so a network
trained on counts may respond beside each object, always to the same side and always as far: by 1.6 mm in one case of
GP-Unet on phantoms (docs/brain.md). A network that was trained on mirrored images as well responds to the mirrored
object likewise, so that its map, mirrored back, lies as far to the other side. Half of the shift between the two is the
displacement.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from weakspot.attention.methods import attend

_MOST, _MOST_VOXELS = 40, 20_000_000  # images, and voxels of them
_ALIKE = 0.5  # normalised correlation, below which the two maps show different things


def displacement(method: str, network: nn.Module, images: Sequence[Tensor]) -> tuple[float, ...] | None:
    """Return how far a network's maps are displaced, along each axis, the same for all images.

    Parameters
    ----------
    method : a key of `weakspot.attention.METHODS`
    network : of `weakspot.networks.build`, trained with flips
    images : each (channels, *spatial), all of one size

    Returns
    -------
    tuple of float or None
        In voxels, to a part of one, at most as far as the network sees (``network.halo``): a detection lies so far
        from its object on average. None where the maps of images and of their mirrored copies have too little in
        common to tell (a correlation below 0.5).
    """
    pairs = []
    for image in images:
        axes = tuple(range(2, image.ndim + 1))
        whole = image[None]
        pairs.append(
            (
                attend(method, network, whole)[0],
                attend(method, network, whole.flip(axes)).flip([a - 1 for a in axes])[0],
            )
        )
    return half_shift(pairs, int(network.halo))  # type: ignore[arg-type]


def displacement_in(
    method: str, network: nn.Module, images: Iterable[NDArray[np.float32]], shape: Sequence[int]
) -> tuple[float, ...] | None:
    """Return the displacement that the first images tell.

    Parameters
    ----------
    method, network : as for `displacement`
    images : each (channels, *spatial); as many of the first one's size are taken as are needed, 40 at most
    shape : spatial, to which smaller ones are padded with zeros
    """
    chosen: list[Tensor] = []
    for image in images:
        padded = tuple(max(sizes) for sizes in zip(image.shape[1:], shape, strict=True))
        if not chosen or chosen[0].shape[1:] == padded:
            whole = np.zeros((len(image), *padded), np.float32)
            window: tuple[Any, ...] = (..., *(slice(size) for size in image.shape[1:]))
            whole[window] = image
            chosen.append(torch.from_numpy(whole))
        if len(chosen) == _MOST or sum(each.numel() for each in chosen) > _MOST_VOXELS:
            break
    return displacement(method, network, chosen)


def half_shift(pairs: Sequence[tuple[Tensor, Tensor]], most_vox: int) -> tuple[float, ...] | None:
    """Return half of the shift from second to first map at which their positive parts correlate most, over all pairs.

    Parameters
    ----------
    pairs : maps (*spatial) of one size
    most_vox : the largest half shift, along each axis

    Examples
    --------
    >>> first = torch.zeros(9, 9)
    >>> first[6, 3] = 1
    >>> half_shift([(first, first.roll((-4, 2), (0, 1)))], 3)
    (2.0, -1.0)
    """
    reach = 2 * most_vox + 1  # one more than is looked for, for the parabola
    correlation, powers = None, [0.0, 0.0]
    for pair in pairs:
        maps = [each.clamp(min=0).double() for each in pair]
        padded = [size + reach for size in maps[0].shape]  # so that nothing comes round
        one, other = (torch.fft.fftn(each, s=padded) for each in maps)
        found = torch.fft.ifftn(one * other.conj()).real
        correlation = found if correlation is None else correlation + found
        powers = [power + float(each.square().sum()) for power, each in zip(powers, maps, strict=True)]
    if correlation is None or not all(powers):
        return None
    dims = correlation.ndim
    middle = tuple(min(reach, (size - 1) // 2) for size in correlation.shape)
    window = tuple(slice(0, 2 * each + 1) for each in middle)
    near = correlation.roll(middle, tuple(range(dims)))[window]
    best = torch.unravel_index(near.argmax(), near.shape)
    peak = [int(each) for each in best]
    at_the_edge = any(not 0 < place < size - 1 for place, size in zip(peak, near.shape, strict=True))
    if at_the_edge or float(near[tuple(peak)]) < _ALIKE * (powers[0] * powers[1]) ** 0.5:
        return None
    return tuple(
        (place + _vertex(near, peak, axis) - each) / 2
        for axis, (place, each) in enumerate(zip(peak, middle, strict=True))
    )


def _vertex(values: Tensor, peak: Sequence[int], axis: int) -> float:
    """Return where beside the peak the parabola through it and its neighbours along an axis is highest."""
    before, at, after = (
        float(values[tuple(place + step * (index == axis) for index, place in enumerate(peak))]) for step in (-1, 0, 1)
    )
    bend = before - 2 * at + after
    return 0.5 * (before - after) / bend if bend else 0.0
