"""The memory that an attention map takes, told before it is made, and the tiles that fit into a given amount."""

import copy
import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from weakspot.attention.methods import ready
from weakspot.attention.tiling import Tile, attend_part, check_tiling, halo_of
from weakspot.errors import InputError

# What libraries take besides, on a first call: code generated for the convolutions, reordered weights.
_BASE_BYTES = 40e6


def peak_bytes(
    method: str, network: nn.Module, shape: Sequence[int], tile: Sequence[int] | None = None, batch: int = 1
) -> float:
    """Estimate by how much the memory in use grows at most while `attend_and_count` runs.

    The network is run on tensors without data (PyTorch's "meta" device), which takes milliseconds, and the bytes of all
    that are alive after each operation are summed up. So the estimate follows from the architecture, the method, the
    width and the size alone. To it come the buffer into which PyTorch unfolds small 3D images on one thread, and 40 MB
    for what libraries keep. Measured peaks are 0.9 to 1.3 times the estimate (benchmarks/volumes.py).

    Parameters
    ----------
    method : a key of `weakspot.attention.METHODS`
    network : of `weakspot.networks.build`
    shape : spatial shape of the images, which are in memory already and not counted
    tile : size of the tiles along each axis, or None for whole images
    batch : images at once

    Returns
    -------
    float
        Bytes, the maps included.
    """
    return _estimate(method, _without_data(network), shape, tile or shape, batch)


def choose_tile(
    method: str, network: nn.Module, shape: Sequence[int], budget_bytes: float, batch: int = 1
) -> tuple[int, ...] | None:
    """Return the tile that takes least time of those whose `peak_bytes` the budget holds; None for the whole image.

    The time is taken to be that of the voxels computed, halos included.

    Raises
    ------
    InputError
        If not even the smallest tile fits, or what does not fit cannot be tiled; names what it would take.
    """
    light = _without_data(network)
    whole = _estimate(method, light, shape, shape, batch)
    if whole <= budget_bytes:
        return None
    try:
        checked = check_tiling(method, network)
    except InputError as error:
        raise InputError(f"{_said(shape, whole, budget_bytes)}; {error}") from error
    sizes = [_part_sizes(size, halo_of(method, checked), checked.multiple) for size in shape]
    # (voxels computed, the tile); the fewer and the larger tiles come first.
    found = sorted((math.prod(c for c, _ in axes), tuple(p for _, p in axes)) for axes in itertools.product(*sizes))
    maps = _map_bytes(shape, batch)
    room, per_voxel = budget_bytes - maps, (whole - maps - _BASE_BYTES) / math.prod(shape)
    least = math.inf
    for _, tile in found:
        if math.prod(tile) * per_voxel > room:  # spares most of the estimates
            continue
        if (needed := _estimate(method, light, shape, tile, batch)) <= budget_bytes:
            return tile
        least = min(least, needed)
        room = min(room, math.prod(tile) * per_voxel * 0.95)
    smallest = min((tile for _, tile in found), key=math.prod)
    least = _estimate(method, light, shape, smallest, batch)
    raise InputError(
        f"{_said(shape, whole, budget_bytes)}, and in tiles of {_by(smallest)}, the smallest, {in_bytes(least)}: "
        "free memory, or take smaller images"
    )


def _said(shape: Sequence[int], needed: float, budget: float) -> str:
    return f"an image of {_by(shape)} takes about {in_bytes(needed)} whole, and {in_bytes(budget)} are there for it"


def in_bytes(number: float) -> str:
    """Write a number of bytes, such as 40 MB or 2.10 GB."""
    return f"{number / 1e9:.2f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _part_sizes(size: int, halo: int, multiple: int) -> list[tuple[int, int]]:
    """Return (voxels computed, size of a part) along an axis for every number of parts that makes a difference."""
    found = {size: size}
    padded = -(-size // multiple) * multiple
    core = padded - 2 * halo
    for number in range(2, core // multiple + 1):
        part = -(-math.ceil(core / number) // multiple) * multiple + 2 * halo
        if part < padded:
            found.setdefault(part, number * part)
    return [(computed, part) for part, computed in found.items()]


def _without_data(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).to("meta")


def _map_bytes(shape: Sequence[int], batch: int) -> float:
    return 4.0 * batch * math.prod(shape)


def _estimate(method: str, light: nn.Module, shape: Sequence[int], part: Sequence[int], batch: int) -> float:
    weight = next(light.parameters())
    images = torch.empty(batch, _channels(light), *part, dtype=weight.dtype, device="meta")
    window = tuple(slice(0, size) for size in part)
    with ready(light), _Alive() as alive:
        attend_part(method, light, images, Tile(window, window), shape)
    return float(alive.peak) + _map_bytes(shape, batch) + _BASE_BYTES


def _channels(network: nn.Module) -> int:
    return int(network.get_submodule("conv1").get_parameter("weight").shape[1])


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums up the bytes of the tensors that operations within it made and that are still alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._sizes: dict[int, tuple[StorageWeakRef, int]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare importing PyTorch's compiler, a second and a half, to tell it to leave this class alone."""
        return False

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                reference = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                self._sizes[reference.cdata] = reference, storage.nbytes()
        self._sizes = {key: entry for key, entry in self._sizes.items() if not _expired(entry[0])}
        alive = sum(size for _, size in self._sizes.values())
        self.peak = max(self.peak, alive + _unfolded_bytes(operation, args))
        return result


def _expired(reference: StorageWeakRef) -> bool:
    return bool(reference.expired())  # type: ignore[no-untyped-call]


def _unfolded_bytes(operation: Any, args: Any) -> int:
    """Return the buffer of PyTorch's own 3D convolution, which it prefers to oneDNN's for small images on one thread.

    The condition is that of ``ConvParams::use_mkldnn`` (ATen/native/Convolution.cpp).
    """
    if operation is not torch.ops.aten.convolution.default or args[6] or args[0].ndim != 5:
        return 0
    images, weight = args[:2]
    if torch.get_num_threads() > 1 or math.prod(images.shape[:4]) > 20480:
        return 0
    return int(images.shape[2:].numel() * weight[0].numel() * images.element_size())
