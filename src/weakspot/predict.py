"""From a trained network and images to counts, maps and points: one image after the other."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from torch import nn

from weakspot.attention import METHODS, attend_and_count, count_residual
from weakspot.attention.memory import choose_tile, in_bytes
from weakspot.attention.methods import DEFAULT_METHOD, VOXELS
from weakspot.detection import Candidates, candidates_in
from weakspot.devices import available_memory, is_out_of_memory
from weakspot.errors import InputError
from weakspot.training.objectives import OBJECTIVES
from weakspot.training.run import Run

_SHARE = 0.75  # of the memory that estimates may fill: measured peaks are up to 1.3 times what was estimated
_DETECTION_BYTES = {"height": 18.0, "mass": 57.0, "prominence": 93.0}  # a voxel, as measured by tracemalloc


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says about one image.

    Attributes
    ----------
    count : float
        The predicted number of objects; under classification the probability of at least one.
    attention : (*spatial) float32
        The raw, signed map, of the image's size; moved back where that was asked for, zero where nothing was.
    candidates : weakspot.detection.peaks.Candidates
        Points and scores, the best first.
    tile : the size of the tiles that the map was made in, or None
    residual : what a "cam" or "gated" map leaves unexplained of the network's output, see
        `weakspot.attention.count_residual`; None of other maps
    """

    count: float
    attention: NDArray[np.float32]
    candidates: Candidates
    tile: tuple[int, ...] | None = None
    residual: float | None = None


def predict(
    run: Run,
    images: Iterable[NDArray[np.float32]],
    method: str | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 16,
    tile: int | Sequence[int] | str | None = None,
    memory_gb: float | None = None,
    spacing_mm: Iterable[ArrayLike] | None = None,
    slices: Iterable[tuple[int, float]] | None = None,
    displaced_vox: Sequence[float] | None = None,
    **detection: Any,
) -> Iterator[Prediction]:
    """Predict images of any sizes; small neighbours of one size share a batch.

    A count is a mean over the image times its size, so it is tied to the size of the training images: a smaller image
    is padded with zeros to that size, as in training, and in a larger one the same density makes more objects,
    ``count = (output - bias) * voxels / training voxels + bias``. (Under classification, and with max pooling, the
    output is left as it is.) So are masses, `weakspot.detection.peaks.candidates`: divided by the voxels of a training
    image, a mass is in the unit of the count in an image of any size.

    Parameters
    ----------
    run : of `weakspot.training.run.load`
    images : each (channels, *spatial), as of `Run.ready`
        Points, maps and sizes are in voxels of these; `weakspot.predict_files` carries points back to the image.
    method : a key of `weakspot.attention.METHODS`; unless given, the one that the architecture was made for
    device : where to compute
    batch_size : images at once, at most
    tile : of large images, see `weakspot.attention.attend_and_count`: sizes in voxels, None for the whole, or "auto"
        "auto" takes an image whole if the memory allows, else in the tiles that take least time.
    memory_gb : that one image may take at most under "auto", in 1e9 bytes; what is available unless given
    spacing_mm : of each image in turn, (dims,): the maximum filter's size is then in mm
        Each is taken when its image is yielded, so it may become known as the image is read.
    slices : of each image in turn, (axis, index): peaks are sought in this slice alone, the middle one for NaN
        Points have all coordinates, and masses are shares of the whole image's count; see
        `weakspot.detection.candidates_in`. Taken as ``spacing_mm`` is.
    displaced_vox : (dims,) how far maps lie off, as `Run.displaced_vox`
        They are moved back by whole voxels, and points by the rest, within the image; not out of a slice.
    **detection : as for `weakspot.detection.peaks.candidates`

    Raises
    ------
    InputError
        As `choose_method`, `weakspot.attention.attend_and_count`, and where memory does not suffice.
    """
    network = run.network.to(device).eval()
    method = choose_method(run, method)
    score, smooth = detection.get("score", "height"), bool(np.any(detection.get("smooth", 0)))
    spacings = itertools.repeat(None) if spacing_mm is None else iter(spacing_mm)
    places = itertools.repeat(None) if slices is None else iter(slices)
    for shape, group in _grouped(images, batch_size):
        padded = tuple(max(sizes) for sizes in zip(shape, run.shape, strict=True))
        sizes = _tile_of(tile, method, network, padded, memory_gb, score, smooth, torch.device(device))
        window: tuple[Any, ...] = tuple(slice(size) for size in shape)
        predictions = []
        try:
            batch = np.zeros((len(group), group[0].shape[0], *padded), np.float32)
            batch[(..., *window)] = group
            maps, outputs = attend_and_count(method, network, torch.from_numpy(batch), tile=sizes)
            counts = _count_of(run, network, padded)(outputs).tolist()
            explained = method in ("cam", "gated")
            residuals = count_residual(network, outputs, maps).tolist() if explained else [None] * len(group)
            for count, attention, residual in zip(counts, maps.numpy(), residuals, strict=True):
                if displaced_vox is not None:
                    attention = moved_back(attention, displaced_vox)  # from the padding, too
                cropped = attention[window]
                place = next(places)
                found = candidates_in(cropped, place, next(spacings), **detection)
                if displaced_vox is not None:
                    found = replace(found, points=_by_the_rest(found.points, displaced_vox, cropped.shape, place))
                if score == "mass" and _is_tied_to_size(run, network):
                    searched = cropped.size if place is None else cropped.size // cropped.shape[place[0]]
                    found = replace(found, scores=found.scores * (searched / math.prod(run.shape)))
                predictions.append(Prediction(count, cropped, found, sizes, residual))
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise InputError(_out_of_memory(padded, sizes)) from error
            raise
        yield from predictions


def moved_back(attention: NDArray[np.float32], displaced_vox: Sequence[float]) -> NDArray[np.float32]:
    """Return a map (*spatial) moved back by how far it lies off (dims,), in whole voxels; zero where nothing was."""
    return np.asarray(ndimage.shift(attention, -np.rint(displaced_vox), order=0))


def _by_the_rest(
    points: NDArray[np.float64],
    displaced_vox: Sequence[float],
    shape: Sequence[int],
    place: tuple[int, float] | None,
) -> NDArray[np.float64]:
    """Return points (n, dims) moved back by what whole voxels leave, within the image, and within its slice."""
    rest = np.asarray(displaced_vox, float) - np.rint(displaced_vox)
    if place is not None:
        rest[place[0]] = 0
    return np.asarray(np.clip(points - rest, 0, np.subtract(shape, 1)))


def choose_method(run: Run, method: str | None = None) -> str:
    """Return the method of that name if it is one for the run's network, its own if none is given.

    Raises
    ------
    InputError
        For an unknown method, and "gated" of a network that has no gates, whose map is "cam".
    """
    name = run.architecture.name
    if method is None:
        return DEFAULT_METHOD[name]
    if method not in METHODS:
        raise InputError(f"no attention method {method!r}: choose one of {', '.join(METHODS)}")
    if method == "gated" != DEFAULT_METHOD[name]:
        raise InputError(f"method 'gated' is of gated_attention, and the run's network is {name}: take cam")
    return method


def memory_for(device: torch.device, at_once: int = 1) -> float:
    """Return the memory in 1e9 bytes that an image may take where so many are predicted at once."""
    return available_memory(device) / at_once / 1e9


def _tile_of(
    tile: int | Sequence[int] | str | None,
    method: str,
    network: nn.Module,
    shape: tuple[int, ...],
    memory_gb: float | None,
    score: str,
    smooth: bool,
    device: torch.device,
) -> tuple[int, ...] | None:
    """Return the size of the tiles for images of a shape, None for whole images."""
    if tile is None or (tile == "auto" and memory_gb is None and math.prod(shape) <= VOXELS):
        return None
    if not isinstance(tile, str):
        sizes = (tile,) * len(shape) if isinstance(tile, int) else tuple(tile)
        # A wrong number of sizes is refused where tiles are laid.
        holds = len(sizes) == len(shape) and all(one >= size for one, size in zip(sizes, shape, strict=True))
        return None if holds else sizes
    if tile != "auto":
        raise InputError(f"tile {tile!r}: expected auto, or sizes in voxels")
    budget = _SHARE * 1e9 * (memory_for(device) if memory_gb is None else memory_gb)
    # Once the map is there, finding candidates takes the memory that making it took.
    detection = (4 + 4 * smooth + _DETECTION_BYTES.get(score, 0)) * math.prod(shape)
    if device.type == "cpu" and detection > budget:
        raise InputError(
            f"the candidates of an image of {'x'.join(map(str, shape))} take about {in_bytes(detection)} to find, "
            f"and {in_bytes(budget)} are there for it, a quarter being kept: free memory, "
            f"{'score by height, ' if score != 'height' else ''}or take smaller images"
        )
    try:
        return choose_tile(method, network, shape, budget)
    except InputError as error:
        raise InputError(f"{error} (a quarter of the memory is kept, as estimates are not exact)") from error


def _out_of_memory(shape: Sequence[int], tile: Sequence[int] | None) -> str:
    smaller = ",".join(str(max(size // 2, 1)) for size in tile or shape)
    how = f"in tiles of {'x'.join(map(str, tile))}" if tile else "whole"
    return (
        f"out of memory with an image of {'x'.join(map(str, shape))}, taken {how}: take smaller tiles "
        f"(--tile {smaller}), or --tile auto with --memory-gb"
    )


def _count_of(run: Run, network: nn.Module, shape: tuple[int, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return how an output on images of ``shape`` becomes a count."""
    growth = math.prod(shape) / math.prod(run.shape)
    if not _is_tied_to_size(run, network) or growth == 1:
        return OBJECTIVES[run.objective].count
    bias = _head(network).bias.item()
    return lambda output: (output - bias) * growth + bias


def _is_tied_to_size(run: Run, network: nn.Module) -> bool:
    """Return whether the count is a mean over the image times its size."""
    return run.objective == "regression" and _head(network).pool == "mean"


def _head(network: nn.Module) -> Any:
    return network.get_submodule("head")


def _grouped(
    images: Iterable[NDArray[np.float32]], most: int
) -> Iterator[tuple[tuple[int, ...], list[NDArray[np.float32]]]]:
    """Yield runs of at most ``most`` neighbouring images of one shape, large ones one by one."""
    group: list[NDArray[np.float32]] = []
    for image in images:
        full = min(most, VOXELS // math.prod(image.shape[1:]))
        if group and (len(group) >= full or image.shape != group[0].shape):
            yield group[0].shape[1:], group
            group = []
        group.append(image)
    if group:
        yield group[0].shape[1:], group
