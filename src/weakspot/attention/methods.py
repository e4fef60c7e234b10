"""All attention methods by name, and the one way to call them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from weakspot.attention.cam import cam
from weakspot.attention.grad_cam import grad_cam
from weakspot.attention.gradient import grad
from weakspot.attention.guided import guided_backprop
from weakspot.attention.intensity import intensity
from weakspot.attention.tiling import Attended, attend_in_tiles
from weakspot.errors import InputError

METHODS: dict[str, Callable[..., Tensor]] = {
    "cam": cam,
    "gated": cam,
    "grad_cam": grad_cam,
    "grad": grad,
    "guided_backprop": guided_backprop,
    "intensity": intensity,
}

# How each architecture's map is made unless another method is asked for (section 2.2).
DEFAULT_METHOD = {
    "gp_unet": "cam",
    "gp_unet_no_residual": "cam",
    "gp_unet_no_skip": "cam",
    "gp_unet_max_pool": "cam",
    "gated_attention": "gated",
    "base": "grad_cam",
}

# Voxels at once unless told otherwise. On a CPU larger batches take longer per image, as their features are too large
# for the caches and for memory that is used again: four images of 196x140 at once take half as long as sixteen.
VOXELS = 2**17


def attend(
    method: str,
    network: nn.Module,
    images: Tensor,
    batch_size: int | None = None,
    layer: nn.Module | str | None = None,
    tile: int | Sequence[int] | None = None,
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
    tile : for large images, the size in voxels of the blocks that are computed one after the other
        Of weakspot's networks; see `attend_and_count`, which returns the counts as well.

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
    compute = _checked(method, images, batch_size)
    if layer is not None:
        if method != "grad_cam":
            raise InputError(f"layer= is for grad_cam, not for {method}")
        if tile is not None:
            raise InputError("tile= is for weakspot's own networks, layer= for others: take images whole")
        compute = partial(grad_cam, layer=layer)
    if tile is not None:
        return attend_and_count(method, network, images, batch_size, tile).maps

    like = next(network.parameters(), torch.empty(0))
    with ready(network):
        maps = [compute(network, part.to(like)) for part in _batches(images, batch_size)]
        return torch.cat([part.to(images.device, torch.float32) for part in maps])


def attend_and_count(
    method: str,
    network: nn.Module,
    images: Tensor,
    batch_size: int | None = None,
    tile: int | Sequence[int] | None = None,
) -> Attended:
    """Return the attention maps and the outputs of one of weakspot's networks, from one pass over the images.

    Parameters
    ----------
    method : a key of ``METHODS``
    network : of `weakspot.networks.build`
    images : (batch, channels, *spatial), two or three spatial axes of any size
    batch_size : images at once, see `attend`
    tile : size in voxels of the tiles that are computed one after the other, one number or one for each axis
        Rounded up to a multiple of the network's pooling factor (2 or 4). None takes images whole. Maps and outputs are
        those of the whole images to float precision (see `weakspot.attention.tiling`), so it is a matter of memory
        alone: the network's features are made for a tile, of which the outermost 8 or 16 voxels (twice that under
        ``grad`` and ``guided_backprop``) only serve those within, and the images and maps alone are held whole.

    Returns
    -------
    Attended
        ``maps`` (batch, *spatial) float32, as of `attend`, and ``outputs`` (batch,) float32, the network's own: counts,
        under classification logits. Both on the images' device.

    Raises
    ------
    InputError
        As `attend`; for tiles of ``grad`` and ``guided_backprop`` under max pooling; for a tile that is no size, or too
        small for what surrounds its middle.

    Examples
    --------
    >>> from weakspot.networks import build
    >>> network, images = build("gp_unet", dims=2).eval(), torch.rand(2, 1, 75, 40)
    >>> whole, tiled = (attend_and_count("cam", network, images, tile=tile) for tile in (None, 32))
    >>> torch.allclose(whole.maps, tiled.maps, atol=1e-5), torch.allclose(whole.outputs, tiled.outputs, atol=1e-5)
    (True, True)
    """
    _checked(method, images, batch_size)
    with ready(network):
        parts = [attend_in_tiles(method, network, part, tile) for part in _batches(images, batch_size)]
        maps, outputs = zip(*parts, strict=True)
        return Attended(*(each[0] if len(parts) == 1 else torch.cat(each) for each in (maps, outputs)))


def _checked(method: str, images: Tensor, batch_size: int | None) -> Callable[..., Tensor]:
    """Return the method of that name, and refuse what no method takes."""
    if method not in METHODS:
        raise InputError(f"no attention method {method!r}: choose one of {', '.join(METHODS)}")
    if not isinstance(images, Tensor):
        raise InputError(f"images are a {type(images).__name__}: expected a tensor, such as torch.from_numpy makes")
    if images.ndim not in (4, 5) or not images.shape[1:].numel():
        raise InputError(f"images of shape {tuple(images.shape)}: expected (batch, channels, *spatial), 2D or 3D")
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size {batch_size}: expected at least 1")
    return METHODS[method]


def _batches(images: Tensor, batch_size: int | None) -> Sequence[Tensor]:
    # An inference tensor cannot take part in a graph, but a copy of it made outside of inference mode can.
    images = images.clone() if images.is_inference() else images.detach()
    return torch.split(images, batch_size or max(1, VOXELS // max(1, images.shape[2:].numel())))


@contextmanager
def ready(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and record graphs whatever the caller's mode is."""
    with _in_evaluation(network), torch.inference_mode(False), torch.enable_grad():
        yield


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
