"""Class activation maps of weakspot's own networks, at every scale that their heads pool (section 2.1.1)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weakspot.errors import InputError
from weakspot.networks.blocks import DIMS, Head, crop
from weakspot.types import CountOutput


@torch.no_grad()
def cam(network: nn.Module, images: Tensor) -> Tensor:
    """Weigh the pooled features by the head's weights: ``M = sum_s sum_k w_k^s f_k^s`` (equations 1 and 2).

    Equation 2, for gated attention, is equation 1 with features of several scales ``s``, hence one function for both.
    Features at half of the image's resolution are upsampled linearly (see `upsample`).

    Parameters
    ----------
    network : of `weakspot.networks.build`, in evaluation mode
    images : (batch, channels, *spatial)

    Returns
    -------
    (batch, *spatial)
        Signed. Under mean pooling a map's mean plus the head's bias is the predicted count, but for what cropping
        changes in networks that upsample (see `count_residual`). Under max pooling it is not.

    Raises
    ------
    InputError
        For a network that is not weakspot's, or whose head still has its norm.

    Examples
    --------
    >>> from weakspot.networks import build
    >>> network, images = build("gp_unet", dims=2).eval(), torch.rand(4, 1, 28, 21)
    >>> maps = cam(network, images)
    >>> maps.shape
    torch.Size([4, 28, 21])
    >>> torch.allclose(maps.mean((1, 2)) + network.head.bias, network(images).count, atol=1e-5)
    True
    """
    head = pooling_head(network, "cam")
    output: CountOutput = network(images)
    weights = torch.split(head.weight, [part.shape[1] for part in output.features])
    return weighted_sum(output.features, weights, images.shape[2:])


def count_residual(network: nn.Module, counts: Tensor, maps: Tensor) -> Tensor:
    """Return what `cam` maps leave unexplained of the counts: ``count - (mean(map) + bias)``.

    Zero to float precision for ``gp_unet``, ``gp_unet_no_residual`` and ``gp_unet_no_skip``, whose maps need no
    interpolation, and for ``base`` and ``gated_attention`` where all axes of the image are even, as linear upsampling
    by 2 keeps the mean. At odd sizes it tells what cropping changed, for ``gp_unet_max_pool`` what the pooling did.

    Parameters
    ----------
    network : that made both, of `weakspot.networks.build`
    counts : (batch,)
        The network's output; under classification the logits.
    maps : (batch, *spatial)

    Returns
    -------
    (batch,)
        In objects.
    """
    head = pooling_head(network, "count_residual")
    return counts - (maps.flatten(1).mean(1) + head.bias.detach())


def pooling_head(network: nn.Module, method: str) -> Head:
    """Return the head of one of weakspot's networks, the weights of which ``method`` is about to read."""
    head = getattr(network, "head", None)
    if not isinstance(head, Head):
        raise InputError(
            f"{method} reads the features and the head of weakspot's networks, and {type(network).__name__} is "
            "another: take grad_cam with the layer whose features to weigh, grad or guided_backprop"
        )
    if head.norm is not None:
        raise InputError(
            f"{method} takes a network in its delivered form, and this {type(network).__name__} still has the "
            "norms of its training: fold them first (weakspot.networks.normalisation.fold)"
        )
    return head


def weighted_sum(features: Sequence[Tensor], weights: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """Return the sum over all parts and channels, each channel times its weight, at the images' size.

    Parameters
    ----------
    features : of (batch, channels, *spatial), each of the images' size or of half of it
    weights : of (channels,), one for each of the features
    shape : the images' size

    Returns
    -------
    (batch, *shape)
    """
    # Sum the channels, then upsample: both are linear, and this way one channel is upsampled instead of all.
    first, *others = (
        upsample(torch.tensordot(part, weight, dims=([1], [0])), shape)
        for part, weight in zip(features, weights, strict=True)
    )
    return sum(others, start=first)


def upsample(maps: Tensor, shape: Sequence[int]) -> Tensor:
    """Interpolate maps at half of the images' resolution linearly; maps of the images' size stay as they are.

    The networks pad images at the end of each axis to an even size and pool by 2. So the factor is exactly 2, coarse
    index ``c`` lies at fine index ``2 c + 1/2`` (the middle of the voxels that it pools; PyTorch's
    ``align_corners=False``), and what lies beyond the image is cropped.

    Parameters
    ----------
    maps : (batch, *spatial)
    shape : the images' size
    """
    if maps.shape[1:] == tuple(shape):
        return maps
    fine = F.interpolate(maps[:, None], scale_factor=2, mode=DIMS[len(shape)].linear, align_corners=False)
    return crop(fine[:, 0], shape)
