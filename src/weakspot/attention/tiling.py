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


def tiles(shape: Sequence[int], tile: Sequence[int], halo: int, multiple: int) -> Iterator[Tile]:
    """Cut an image into tiles whose parts are all of one size.

    For one size the kernels are prepared, and memory is taken, once. So the part at the end of an axis begins early
    enough to be as large as the others, and covers more of its neighbour than a halo.

    Parameters
    ----------
    shape : of the image
    tile : size of the parts along each axis, a multiple of ``multiple`` above twice the halo, unless it is the image's
    halo : voxels around each core, a multiple of ``multiple``
    multiple : to which the network pads the image

    Examples
    --------
    >>> for each in tiles((19,), (8,), halo=2, multiple=2):
    ...     print(each.core, each.part)
    (slice(0, 6, None),) (slice(0, 8, None),)
    (slice(6, 10, None),) (slice(4, 12, None),)
    (slice(10, 14, None),) (slice(8, 16, None),)
    (slice(14, 19, None),) (slice(12, 19, None),)
    """
    axes = [_cuts(size, part, halo, multiple) for size, part in zip(shape, tile, strict=True)]
    for combined in itertools.product(*axes):
        core, part = zip(*combined, strict=True)
        yield Tile(core, part)


def _cuts(size: int, part: int, halo: int, multiple: int) -> list[tuple[slice, slice]]:
    """Return the cores and parts along one axis."""
    last = 0 if part >= size else -(-size // multiple) * multiple - part
    starts = [*range(0, last, part - 2 * halo), last] if last else [0]
    stops = [start + part - halo for start in starts[:-1]] + [size]
    return [
        (slice(core, stop), slice(start, min(start + part, size)))
        for core, stop, start in zip([0, *stops], stops, starts, strict=False)
    ]


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


def part_size(tile: int | Sequence[int], shape: Sequence[int], multiple: int, halo: int) -> tuple[int, ...]:
    """Return the size of the parts along each axis: rounded up to the network's multiple, at most the image's size.

    Raises
    ------
    InputError
        For sizes that leave no core within the halo, or another number of axes than the image has.
    """
    sizes = [tile] * len(shape) if isinstance(tile, int) else list(tile)
    least = 2 * halo + multiple
    if len(sizes) != len(shape):
        raise InputError(f"tile {tuple(sizes)}: expected one size, or {len(shape)} of them, one for each axis")
    if any(part < min(least, size) for part, size in zip(sizes, shape, strict=True)):
        raise InputError(
            f"tile {tile}: this network and method need {halo} voxels around what a tile gives, "
            f"so at least {least} an axis"
        )
    return tuple(min(-(-part // multiple) * multiple, size) for part, size in zip(sizes, shape, strict=True))


def attend_in_tiles(method: str, network: nn.Module, images: Tensor, tile: int | Sequence[int] | None) -> Attended:
    """Return maps and outputs; see `weakspot.attention.attend_and_count`, which prepares what this expects.

    Parameters
    ----------
    method : a key of `weakspot.attention.METHODS`
    network : in evaluation mode, its parameters fixed
    images : (batch, channels, *spatial), on any device
    tile : size of the parts, or None for the whole image
    """
    head = pooling_head(network, method)
    like, shape = head.weight, images.shape[2:]
    cut = [Tile(all_of := tuple(slice(0, size) for size in shape), all_of)]
    if tile is not None:
        checked = check_tiling(method, network)
        halo, multiple = halo_of(method, checked), checked.multiple
        cut = list(tiles(shape, part_size(tile, shape, multiple, halo), halo, multiple))
    maps = images.new_empty(images.shape[:1] + shape, dtype=torch.float32)
    pooled: Tensor | None = None
    for each in cut:
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
