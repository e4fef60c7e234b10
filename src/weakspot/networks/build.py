"""Networks by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from weakspot.errors import InputError
from weakspot.networks.base import Base
from weakspot.networks.gated_attention import GatedAttention
from weakspot.networks.gp_unet import GPUnet
from weakspot.networks.gp_unet_no_residual import GPUnetNoResidual

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "gp_unet": GPUnet,
    "gp_unet_no_residual": GPUnetNoResidual,
    "gated_attention": GatedAttention,
    "base": Base,
    "gp_unet_no_skip": partial(GPUnet, skip=False),
    "gp_unet_max_pool": partial(GPUnet, pool="max"),
}

# The paper's: 32 filters in 3D, and four times fewer in 2D (section 2.2).
DEFAULT_WIDTH = {2: 8, 3: 32}


def check_name(name: str) -> None:
    """Refuse what is no key of ``ARCHITECTURES``."""
    if name not in ARCHITECTURES:
        raise InputError(f"no architecture {name!r}: choose one of {', '.join(ARCHITECTURES)}")


def build(name: str, dims: int, width: int | None = None, in_channels: int = 1) -> nn.Module:
    """Return a new network, its weights drawn from the global PyTorch generator (He initialisation).

    Parameters
    ----------
    name : a key of ``ARCHITECTURES``
    dims : 2 or 3
        Spatial dimensions of the images.
    width : filters of the first scale
        Unless given, the paper's: 8 in 2D and 32 in 3D.
    in_channels : channels of the images

    Returns
    -------
    torch.nn.Module
        Maps images (batch, in_channels, *spatial), of any spatial size, to a `weakspot.types.CountOutput`.

    Raises
    ------
    InputError
        For a name that is not known, or dimensions other than 2 and 3.

    >>> sum(parameter.numel() for parameter in build("gp_unet", dims=3).parameters())
    308705
    """
    check_name(name)
    if dims not in DEFAULT_WIDTH:
        raise InputError(f"{dims} spatial dimensions: networks take 2 or 3")
    for what, value in {"width": width, "in_channels": in_channels}.items():
        if value is not None and value < 1:
            raise InputError(f"{what} {value}: expected at least 1")
    return ARCHITECTURES[name](dims, width or DEFAULT_WIDTH[dims], in_channels)


@dataclass(frozen=True)
class NetworkSettings:
    """What `build` is given."""

    name: str
    dims: int
    width: int | None = None
    in_channels: int = 1

    def build(self) -> nn.Module:
        """Return a new network."""
        return build(self.name, self.dims, self.width, self.in_channels)
