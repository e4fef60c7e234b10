"""From a trained network and images to counts, maps and points: one image after the other."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from weakspot.attention import attend
from weakspot.detection.peaks import Candidates, candidates
from weakspot.training.objectives import OBJECTIVES
from weakspot.training.run import Run

# How each architecture's map is made unless another method is asked for (section 2.2).
DEFAULT_METHOD = {
    "gp_unet": "cam",
    "gp_unet_no_residual": "cam",
    "gp_unet_no_skip": "cam",
    "gp_unet_max_pool": "cam",
    "gated_attention": "gated",
    "base": "grad_cam",
}


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says about one image.

    Attributes
    ----------
    count : float
        The predicted number of objects; under classification the probability of at least one.
    attention : (*spatial) float32
        The raw, signed map, of the image's size.
    candidates : weakspot.detection.peaks.Candidates
        Points and scores, the best first.
    """

    count: float
    attention: NDArray[np.float32]
    candidates: Candidates


def predict(
    run: Run,
    images: Iterable[NDArray[np.float32]],
    method: str | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 16,
    **detection: Any,
) -> Iterator[Prediction]:
    """Predict images of any sizes; neighbours of one size share a batch.

    A count is a mean over the image times its size, so it is tied to the size of the training images: a smaller image
    is padded with zeros to that size, as in training, and in a larger one the same density makes more objects,
    ``count = (output - bias) * voxels / training voxels + bias``. (Under classification, and with max pooling, the
    output is left as it is.)

    Parameters
    ----------
    run : of `weakspot.training.run.load`
    images : each (channels, *spatial)
    method : a key of `weakspot.attention.METHODS`; unless given, the one that the architecture was made for
    device : where to compute
    batch_size : images at once, at most
    **detection : as for `weakspot.detection.peaks.candidates`
    """
    network = run.network.to(device).eval()
    for shape, group in _grouped(images, batch_size):
        padded = tuple(max(sizes) for sizes in zip(shape, run.shape, strict=True))
        batch = np.zeros((len(group), group[0].shape[0], *padded), np.float32)
        window: tuple[Any, ...] = tuple(slice(size) for size in shape)
        batch[(..., *window)] = group
        tensor = torch.from_numpy(batch).to(device)
        maps = attend(method or DEFAULT_METHOD[run.architecture.name], network, tensor).cpu().numpy()
        with torch.inference_mode():
            output = network(tensor).count.float()
            counts = _count_of(run, network, padded)(output).cpu().tolist()
        for count, attention in zip(counts, maps, strict=True):
            cropped = attention[window]
            yield Prediction(count, cropped, candidates(cropped, **detection))


def _count_of(run: Run, network: nn.Module, shape: tuple[int, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return how an output on images of ``shape`` becomes a count."""
    head: Any = network.get_submodule("head")
    growth = float(np.prod(shape) / np.prod(run.shape))
    if run.objective != "regression" or head.pool != "mean" or growth == 1:
        return OBJECTIVES[run.objective].count
    bias = head.bias.detach()
    return lambda output: (output - bias) * growth + bias


def _grouped(
    images: Iterable[NDArray[np.float32]], most: int
) -> Iterator[tuple[tuple[int, ...], list[NDArray[np.float32]]]]:
    """Yield runs of at most ``most`` neighbouring images of one spatial shape."""
    group: list[NDArray[np.float32]] = []
    for image in images:
        if group and (len(group) == most or image.shape != group[0].shape):
            yield group[0].shape[1:], group
            group = []
        group.append(image)
    if group:
        yield group[0].shape[1:], group
