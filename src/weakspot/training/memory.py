"""Whether a training's steps fit into memory: told before it begins, as a system out of memory tells nothing."""

import math
from collections.abc import Sequence

import torch

from weakspot.devices import available_memory
from weakspot.errors import InputError
from weakspot.networks.build import DEFAULT_WIDTH, NetworkSettings
from weakspot.training.settings import FitSettings

_STEP_BYTES = 45.0  # a voxel and filter of the first scale; 35 to 66 were measured of the architectures, in 2D and 3D


def step_bytes(voxels: int, width: int, images: int) -> float:
    """Return about how much memory a training step takes for so many images at once, in float32."""
    return _STEP_BYTES * voxels * width * images


def check_memory(
    architecture: NetworkSettings, settings: FitSettings, shape: Sequence[int], device: torch.device
) -> None:
    """Refuse a training whose steps take more memory than there is.

    Raises
    ------
    InputError
        Says what to do.
    """
    voxels, width = math.prod(shape), architecture.width or DEFAULT_WIDTH[architecture.dims]
    precision = 0.5 if settings.precision == "bfloat16" else 1.0
    images, left = settings.at_once or settings.recipe.batch_size, available_memory(device)
    needed = precision * step_bytes(voxels, width, images)
    if needed <= left:
        return
    fitting = int(left / (precision * step_bytes(voxels, width, 1)))
    way_out = (
        f"--at-once {fitting}"
        if fitting
        else "a smaller --width, smaller images (--shrink 2), or a device with more memory"
    )
    raise InputError(
        f"a step with {images} image(s) of {'x'.join(map(str, shape))} at once takes about {needed / 1e9:.1f} GB, and "
        f"{left / 1e9:.1f} GB are there: take {way_out}"
    )
