"""The building blocks of all networks, for two and three spatial dimensions.

The dimension of the images picks the functions in ``DIMS`` and nothing else changes. Concatenations are never made:
the convolution of a concatenation is the sum of the convolutions of its parts, and the part that comes from a coarser
scale is convolved there (see `Convolution`).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weakspot.errors import InputError


@dataclass(frozen=True)
class Dim:
    """The functions of one number of spatial dimensions, and the memory layout that is fastest with them."""

    conv: Callable[..., Tensor]
    conv_transpose: Callable[..., Tensor]
    max_pool: Callable[..., Tensor]
    linear: str
    memory_format: torch.memory_format


DIMS = {
    2: Dim(F.conv2d, F.conv_transpose2d, F.max_pool2d, "bilinear", torch.channels_last),
    3: Dim(F.conv3d, F.conv_transpose3d, F.max_pool3d, "trilinear", torch.channels_last_3d),
}

# Taps of a transposed convolution of size 4 and stride 2 that equals "nearest upsampling by 2, then a convolution of
# size 3" along one axis: row t holds the taps of the small kernel that one coarse value meets at fine offset t - 1.
_UPSAMPLING_TAPS = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])


def upsampling_kernel(weight: Tensor) -> Tensor:
    """Turn the kernel of a convolution after nearest upsampling by 2 into that of one transposed convolution.

    Parameters
    ----------
    weight : (out, in, 3, 3[, 3])

    Returns
    -------
    (in, out, 4, 4[, 4])
        ``conv_transpose(x, kernel, stride=2, padding=1)`` equals ``conv(upsample(x), weight, padding=1)`` with
        ``(2/3)**2`` of the multiplications in 2D, ``(2/3)**3`` in 3D, against a plain convolution at the fine scale,
        and without the upsampled tensor.
    """
    taps = _UPSAMPLING_TAPS.to(weight)
    with _full_precision(weight):  # sums of weights, not a layer
        for axis in range(2, weight.ndim):
            weight = torch.movedim(torch.tensordot(weight, taps, dims=([axis], [1])), -1, axis)
    return weight.transpose(0, 1)


def to_layout(images: Tensor) -> Tensor:
    """Return the images in the memory layout that the convolutions are fastest in.

    With one channel the contiguous and the channels-last layout differ in strides alone, and PyTorch keeps the
    contiguous ones, for which the first convolution takes ten times as long: hence the explicit strides.
    """
    memory_format = DIMS[images.ndim - 2].memory_format
    if images.shape[1] > 1:
        return images.contiguous(memory_format=memory_format)
    strides = torch.empty(images.shape, device="meta").to(memory_format=memory_format).stride()
    return images.contiguous().as_strided(images.shape, strides)


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Pad with zeros at the end of each spatial axis to the next multiple, so that pooling loses no voxel."""
    pads = [(-size) % multiple for size in reversed(images.shape[2:])]
    return F.pad(images, [side for pad in pads for side in (0, pad)]) if any(pads) else images


def prepare(images: Tensor, first: "Convolution", multiple: int) -> Tensor:
    """Check the images against a network's first convolution, pad each axis to ``multiple``, and lay them out."""
    [channels] = first.fine
    if images.ndim != first.dims + 2 or images.shape[1] != channels:
        raise InputError(
            f"images of shape {tuple(images.shape)}: this network takes (batch, channels, *spatial) with {channels} "
            f"channel(s) and {first.dims} spatial axes"
        )
    return to_layout(pad_to_multiple(images, multiple))


def crop(features: Tensor, shape: Sequence[int]) -> Tensor:
    """Undo the padding of `prepare` on maps of the images' resolution."""
    window: tuple[Any, ...] = (..., *(slice(size) for size in shape))
    return features[window]


class Convolution(nn.Module):
    """Convolution with zero padding and ReLU, of parts that stand for one concatenation.

    Computes ``relu(conv(concatenate(*fine, upsample(coarse)), weight) + bias)`` part by part, where ``upsample`` is
    nearest-neighbour by a factor 2. During training a norm may stand between convolution and ReLU, in the place of
    the bias (see `weakspot.networks.normalisation`).

    Parameters
    ----------
    dims : 2 or 3
    fine : channels of each part at the output's resolution
    out_channels : int
    coarse : channels of each part at half of that resolution, after the fine ones in the weight's order
    kernel : 3, or 1 for a voxelwise layer (which takes no coarse parts)
    """

    def __init__(
        self, dims: int, fine: Sequence[int], out_channels: int, coarse: Sequence[int] = (), kernel: int = 3
    ) -> None:
        super().__init__()
        self.dims, self.fine, self.coarse = dims, tuple(fine), tuple(coarse)
        shape = (out_channels, sum(fine) + sum(coarse), *[kernel] * dims)
        self.weight = nn.Parameter(torch.empty(shape, memory_format=DIMS[dims].memory_format))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.norm: nn.Module | None = None
        nn.init.kaiming_normal_(self.weight)

    def forward(self, fine: Sequence[Tensor], coarse: Sequence[Tensor] = ()) -> Tensor:
        """Return (batch, out_channels, *spatial) from the fine and coarse parts."""
        # At the coarse scale a concatenation costs a quarter or an eighth, and one large convolution wins.
        joined = torch.cat(list(coarse), dim=1) if coarse else None
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if self.norm is not None:
            weight, bias = self.normalised(self.norm(lambda: self.linear(fine, joined, self.weight, None)))
        return F.relu_(self.linear(fine, joined, weight, bias))

    def normalised(self, affine: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the weight and bias that equal this layer's weight followed by a scale and shift per channel."""
        scale, shift = affine
        weight = self.weight * scale.reshape(-1, *[1] * (self.dims + 1))
        return weight.contiguous(memory_format=DIMS[self.dims].memory_format), shift

    def linear(self, fine: Sequence[Tensor], coarse: Tensor | None, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution alone."""
        dim = DIMS[self.dims]
        *kernels, coarse_kernel = torch.split(weight, [*self.fine, sum(self.coarse)], dim=1)
        padding = weight.shape[-1] // 2
        total = dim.conv(fine[0], kernels[0], bias, padding=padding)
        for part, kernel in zip(fine[1:], kernels[1:], strict=True):
            total.add_(dim.conv(part, kernel, padding=padding))
        if coarse is None:
            return total
        return total.add_(dim.conv_transpose(coarse, upsampling_kernel(coarse_kernel), stride=2, padding=1))


def _full_precision(values: Tensor) -> AbstractContextManager[object]:
    """Turn mixed precision off where these values are; the meta device does not know it."""
    return nullcontext() if values.is_meta else torch.autocast(values.device.type, enabled=False)


def _at_least_float32(values: Tensor) -> torch.dtype:
    return torch.promote_types(values.dtype, torch.float32)


class Head(nn.Module):
    """Global pooling of all feature maps, then one linear unit: the predicted count.

    Parameters
    ----------
    channels : int
        Number of pooled feature maps.
    pool : "mean" or "max"

    Attributes
    ----------
    zero_bias : bool
        Whether a norm, while there is one, leaves no bias behind, see `normalised`.
    """

    POOLS: dict[str, Callable[[Tensor], Tensor]] = {  # noqa: RUF012
        "mean": lambda features: features.flatten(2).mean(2, dtype=_at_least_float32(features)),
        "max": lambda features: features.flatten(2).amax(2).to(_at_least_float32(features)),
    }

    def __init__(self, channels: int, pool: str = "mean") -> None:
        super().__init__()
        self.pool = pool
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.zeros(()))
        self.norm: nn.Module | None = None
        self.zero_bias = False
        nn.init.normal_(self.weight, std=channels**-0.5)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return the count (batch,) of features (batch, channels, *spatial), one entry or several."""
        return self.output(self.pooled(features))

    def pooled(self, features: Sequence[Tensor]) -> Tensor:
        """Return the pooled features (batch, channels)."""
        return torch.cat([self.POOLS[self.pool](part) for part in features], dim=1)

    def output(self, pooled: Tensor) -> Tensor:
        """Return the count (batch,) of pooled features (batch, channels), in their precision."""
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        # Counts differ by small parts of a mean over the image, for which three digits are too few.
        with _full_precision(pooled):
            if self.norm is not None:
                weight, bias = self.normalised(self.norm(lambda: pooled))
            return pooled @ weight.to(pooled.dtype) + bias.to(pooled.dtype)

    def normalised(self, affine: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the weight and bias that equal a scale and shift per channel followed by this layer.

        With ``zero_bias``, what would be the bias is given to the weight instead, so that the output for the mean of
        the pooled features stays: ``w + b d / (d . mean)``, and 0, with ``d = scale^2 mean``, the direction that takes
        the least change of the normalised weight.
        """
        scale, shift = affine
        weight, bias = self.weight * scale, self.bias + self.weight @ shift
        if self.zero_bias and self.norm is not None:
            mean = (self.norm.get_parameter("bias") - shift) / scale
            direction = scale.square() * mean
            weight = weight + bias * direction / (direction @ mean).clamp(min=1e-12)
            bias = torch.zeros_like(bias)
        return weight, bias


class Network(nn.Module):
    """What weakspot's networks have in common: features that a `Head` pools to a count.

    Attributes
    ----------
    multiple : int
        To which `prepare` pads each axis: the factor between the finest and the coarsest scale.
    halo : int
        Voxels of the image around a block of ``multiple`` voxels an axis, aligned to it, on which the features of that
        block, and the maps interpolated from them, depend at most: the radius of the receptive field, rounded up to a
        multiple of ``multiple``.
    head : Head
    """

    multiple: int
    halo: int
    head: Head
