"""Maps and counts of large images tile by tile, equal to those of the whole image.

A feature depends on a neighbourhood of the image alone, the receptive field. So a network that is run on a tile with a
halo of that radius gives, within the tile, the features of the whole image, provided that

- tiles begin at multiples of the network's pooling factor, so that the same voxels are pooled together;
- halos end where the image ends: the zeros that every convolution pads its features with then stand where they do in
  the whole image, and nowhere else. (At other borders of a tile they are wrong, which the halo keeps from mattering.)

What spans the image is pooling, and that is accumulated over the tiles: sums under mean pooling, maxima under max
pooling. The derivative of the count by a voxel passes through the features that depend on this voxel, and these through
voxels at most two radii away: hence twice the halo. Under mean pooling the derivative by every feature is the constant
``w_k / N``, the head's weight by the number of the whole image's voxels. Under max pooling it hangs on where the maxima
of the whole image are, and on how many voxels share them to the last bit: there derivatives are not tiled.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from weakspot.attention.cam import pooling_head, weighted_sum
from weakspot.attention.guided import guided_derivative
from weakspot.attention.scalar import derivative
from weakspot.errors import InputError
from weakspot.networks.blocks import Head, Network
from weakspot.types import CountOutput

_DERIVATIVES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "grad": derivative,
    "guided_backprop": guided_derivative,
}
_ACCUMULATE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mean": torch.add, "max": torch.maximum}


class Attended(NamedTuple):
    """Maps (batch, *spatial), float32, and the network's outputs (batch,), both of the same pass over the images."""

    maps: Tensor
    outputs: Tensor


@dataclass(frozen=True)
class Tile:
    """A block of an image, and the part of the image that is computed for it.

    Attributes
    ----------
    core : a slice for each axis
        The voxels that the tile answers for.
    part : a slice for each axis
        The core with its halo, as far as the image goes.
    """

    core: tuple[slice, ...]
    part: tuple[slice, ...]

    def within(self, shape: Sequence[int]) -> tuple[slice, ...]:
        """Return where the core is in features of the part: (*shape), of the part's size or of half of it."""
        factor = 1 if tuple(shape) == tuple(part.stop - part.start for part in self.part) else 2
        return tuple(
            # Where both end, so does the image, and features may go on to its padded size.
            slice(
                (core.start - part.start) // factor,
                None if core.stop == part.stop else (core.stop - part.start) // factor,
            )
            for core, part in zip(self.core, self.part, strict=True)
        )


def tiles(shape: Sequence[int], tile: Sequence[int], halo: int) -> Iterator[Tile]:
    """Cut an image into tiles.

    Parameters
    ----------
    shape : of the image
    tile : size of a core along each axis; the last ones may be smaller
    halo : voxels around each core

    Examples
    --------
    >>> for each in tiles((10,), (4,), halo=2):
    ...     print(each.core, each.part)
    (slice(0, 4, None),) (slice(0, 6, None),)
    (slice(4, 8, None),) (slice(2, 10, None),)
    (slice(8, 10, None),) (slice(6, 10, None),)
    """
    axes = [
        [
            (slice(start, min(start + step, size)), slice(max(start - halo, 0), min(start + step + halo, size)))
            for start in range(0, size, step)
        ]
        for size, step in zip(shape, tile, strict=True)
    ]
    for combined in itertools.product(*axes):
        core, part = zip(*combined, strict=True)
        yield Tile(core, part)


def halo_of(method: str, network: Network) -> int:
    """Return the voxels around a tile that a method needs."""
    return network.halo * (2 if method in _DERIVATIVES else 1)


def check_tiling(method: str, network: nn.Module) -> Network:
    """Return the network if a method can be computed of it in tiles, and refuse it otherwise."""
    head = pooling_head(network, "a tile")
    if not isinstance(network, Network):
        raise InputError(f"{type(network).__name__} does not tell its receptive field: take the image whole")
    if method in _DERIVATIVES and head.pool == "max":
        raise InputError(
            f"{method} under max pooling hangs on single voxels of the whole image, and is not computed in tiles: "
            "take images whole, or the method cam or grad_cam"
        )
    return network


def whole_tile(tile: int | Sequence[int], shape: Sequence[int], multiple: int) -> tuple[int, ...]:
    """Return the size of a tile along each axis: rounded up to the network's multiple, at most the image's size.

    Raises
    ------
    InputError
        For sizes below 1, or another number of axes than the image has.
    """
    sizes = [tile] * len(shape) if isinstance(tile, int) else list(tile)
    if len(sizes) != len(shape) or min(sizes) < 1:
        raise InputError(f"tile {tile}: expected one size of at least 1, or {len(shape)} of them, one for each axis")
    return tuple(min(-(-step // multiple) * multiple, size) for step, size in zip(sizes, shape, strict=True))


def attend_in_tiles(method: str, network: nn.Module, images: Tensor, tile: int | Sequence[int] | None) -> Attended:
    """Return maps and outputs; see `weakspot.attention.attend_and_count`, which prepares what this expects.

    Parameters
    ----------
    method : a key of `weakspot.attention.METHODS`
    network : in evaluation mode, its parameters fixed
    images : (batch, channels, *spatial), on any device
    tile : size of the cores, or None for the whole image
    """
    head = pooling_head(network, method)
    like, shape = head.weight, images.shape[2:]
    size, halo = tuple(shape), 0
    if tile is not None:
        checked = check_tiling(method, network)
        size, halo = whole_tile(tile, shape, checked.multiple), halo_of(method, checked)
    maps = images.new_empty(images.shape[:1] + shape, dtype=torch.float32)
    pooled: Tensor | None = None
    for each in tiles(shape, size, halo):
        part_map, part_pooled = attend_part(method, network, _cut(images, each.part).to(like), each, shape)
        _cut(maps, each.core).copy_(_cut(part_map, each.within(part_map.shape[1:])))
        pooled = part_pooled if pooled is None else _ACCUMULATE[head.pool](pooled, part_pooled)
    assert pooled is not None
    return Attended(maps, head.output(pooled).to(images.device, torch.float32))


def attend_part(
    method: str, network: nn.Module, part: Tensor, tile: Tile, shape: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Return the map (batch, *part) of a part of an image of ``shape``, and its core's share of the pooled features."""
    head = pooling_head(network, method)
    derive = _DERIVATIVES.get(method)
    with torch.set_grad_enabled(derive is not None):
        part = part.clone().requires_grad_() if derive else part
        output: CountOutput = network(part)
        features = output.features
        voxels = [_voxels(each, part, shape) for each in features]
        cores = [_cut(each.detach(), tile.within(each.shape[2:])) for each in features]
        pooled = _pool(head, cores, voxels)
        if derive:
            counts = head.output(_pool(head, features, voxels))
            del output, features, cores
            return derive(counts, part).sum(1), pooled
        if method == "intensity":
            return part.mean(1), pooled
        weights = list(torch.split(head.weight, [each.shape[1] for each in features]))
        if method == "grad_cam":
            weights = [weight / number for weight, number in zip(weights, voxels, strict=True)]
        return weighted_sum(features, weights, part.shape[2:]), pooled


def _cut(values: Tensor, window: Sequence[slice]) -> Tensor:
    """Return the view of a window of the spatial axes, which are the last ones."""
    index: tuple[Any, ...] = (..., *window)
    return values[index]


def _voxels(features: Tensor, part: Tensor, shape: Sequence[int]) -> int:
    """Return how many voxels the features of the whole image have, of which these are a part."""
    halved = features.shape[2:] != part.shape[2:]
    return int(torch.Size([-(-size // 2) if halved else size for size in shape]).numel())


def _pool(head: Head, features: Sequence[Tensor], voxels: Sequence[int]) -> Tensor:
    """Pool features (batch, channels, *spatial), a part of ``voxels`` each, to what `_ACCUMULATE` adds up."""
    axes = tuple(range(2, features[0].ndim))
    if head.pool == "max":
        return torch.cat([each.amax(axes) for each in features], dim=1)
    return torch.cat([each.sum(axes) / number for each, number in zip(features, voxels, strict=True)], dim=1)
