"""All attention methods by name, and the one way to call them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from weakspot.attention.cam import cam
from weakspot.attention.grad_cam import grad_cam
from weakspot.attention.gradient import grad
from weakspot.attention.guided import guided_backprop
from weakspot.attention.intensity import intensity
from weakspot.errors import InputError

METHODS: dict[str, Callable[..., Tensor]] = {
    "cam": cam,
    "gated": cam,
    "grad_cam": grad_cam,
    "grad": grad,
    "guided_backprop": guided_backprop,
    "intensity": intensity,
}

# Voxels at once unless told otherwise. On a CPU larger batches take longer per image, as their features are too large
# for the caches and for memory that is used again: four images of 196x140 at once take half as long as sixteen.
_VOXELS = 2**17


def attend(
    method: str,
    network: nn.Module,
    images: Tensor,
    batch_size: int | None = None,
    layer: nn.Module | str | None = None,
) -> Tensor:
    """Return the attention maps of a network for images: raw, signed, of the images' size.

    The network is used in evaluation mode and left exactly as found: mode of each module, parameters and their
    gradients, buffers, hooks. It runs on the device where its parameters are, in their precision.

    Parameters
    ----------
    method : a key of ``METHODS``
    network : of `weakspot.networks.build`
        ``grad``, ``grad_cam`` (with ``layer``) and ``guided_backprop`` take any module with one number per image.
    images : (batch, channels, *spatial), two or three spatial axes of any size
    batch_size : images at once
        Unless given, as many as make 130,000 voxels, and at least one: fast on a CPU, while a GPU may want more. The
        maps do not depend on it.
    layer : for ``grad_cam`` of a module that is not weakspot's
        The module, or its dotted name, whose output is the features.

    Returns
    -------
    (batch, *spatial) float32
        On the images' device, without channels: see the methods for what they make of several.

    Raises
    ------
    InputError
        For an unknown method, images of other dimensions, and what the method cannot do with the network.

    Examples
    --------
    >>> from weakspot.networks import build
    >>> attend("guided_backprop", build("base", dims=3, width=4), torch.rand(2, 1, 16, 15, 9)).shape
    torch.Size([2, 16, 15, 9])
    """
    if method not in METHODS:
        raise InputError(f"no attention method {method!r}: choose one of {', '.join(METHODS)}")
    if images.ndim not in (4, 5):
        raise InputError(f"images of shape {tuple(images.shape)}: expected (batch, channels, *spatial), 2D or 3D")
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size {batch_size}: expected at least 1")
    compute = METHODS[method]
    if layer is not None:
        if method != "grad_cam":
            raise InputError(f"layer= is for grad_cam, not for {method}")
        compute = partial(grad_cam, layer=layer)

    like = next(network.parameters(), torch.empty(0))
    at_once = batch_size or max(1, _VOXELS // max(1, images.shape[2:].numel()))
    # An inference tensor cannot take part in a graph, but a copy of it made outside of inference mode can.
    with _in_evaluation(network), torch.inference_mode(False), torch.enable_grad():
        images = images.clone() if images.is_inference() else images.detach()
        maps = [compute(network, part.to(like)) for part in torch.split(images, at_once)]
        return torch.cat([part.to(images.device, torch.float32) for part in maps])


@contextmanager
def _in_evaluation(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, its parameters fixed, and undo both."""
    modes = [(module, module.training) for module in network.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    try:
        network.eval()
        for parameter, _ in wanted:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, requires_grad in wanted:
            parameter.requires_grad_(requires_grad)
