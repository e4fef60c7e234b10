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


def mirrored_maps(
    method: str, network: nn.Module, images: Iterable[NDArray[np.float32]], shape: Sequence[int]
) -> list[tuple[Tensor, Tensor]]:
    """Return the maps (*spatial) of the first images, and those of their mirrored copies, mirrored back.

    Parameters
    ----------
    method : a key of `weakspot.attention.METHODS`
    network : of `weakspot.networks.build`, trained with flips
    images : each (channels, *spatial), of one size once they are padded; 40 at most are taken
    shape : spatial, to which smaller ones are padded with zeros
    """
    pairs: list[tuple[Tensor, Tensor]] = []
    for image in images:
        padded = np.zeros((1, len(image), *np.maximum(image.shape[1:], shape)), np.float32)
        window: tuple[Any, ...] = (0, ..., *(slice(size) for size in image.shape[1:]))
        padded[window] = image
        whole = torch.from_numpy(padded)
        axes = tuple(range(2, whole.ndim))
        mirrored = attend(method, network, whole.flip(axes)).flip([axis - 1 for axis in axes])
        pairs.append((attend(method, network, whole)[0], mirrored[0]))
        if len(pairs) == _MOST or sum(each[0].numel() for each in pairs) > _MOST_VOXELS:
            break
    return pairs


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
