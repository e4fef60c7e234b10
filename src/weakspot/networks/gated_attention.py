"""Gated attention: the paper's adaptation of Schlemper et al. 2018 (section 2.2; B in Fig. 2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weakspot.networks.blocks import DIMS, Convolution, Head, Network, crop, prepare
from weakspot.types import CountOutput


class Gate(nn.Module):
    """The attention gate: a sigmoid map at the fine scale, from the fine and the coarse features.

    ``sigmoid(psi . relu(W_x x + upsample(W_g g) + b) + b_psi)`` with voxelwise W_x, W_g, psi and linear upsampling.

    Parameters
    ----------
    dims : 2 or 3
    fine, coarse : channels of each part of x and g
    width : intermediate channels; half of the network's width, which the published parameter count pins
    """

    def __init__(self, dims: int, fine: list[int], coarse: list[int], width: int) -> None:
        super().__init__()
        self.dims = dims
        self.theta = Convolution(dims, fine, width, kernel=1)
        self.phi = Convolution(dims, coarse, width, kernel=1)
        self.psi = nn.Parameter(torch.randn(1, width, *[1] * dims) / width**0.5)
        self.psi_bias = nn.Parameter(torch.zeros(1))

    def forward(self, fine: list[Tensor], coarse: list[Tensor]) -> Tensor:
        """Return the gate's map (batch, 1, *spatial), between 0 and 1."""
        dim = DIMS[self.dims]
        phi, theta = self.phi, self.theta
        gating = F.interpolate(phi.linear(coarse, None, phi.weight, phi.bias), scale_factor=2, mode=dim.linear)
        hidden = F.relu_(theta.linear(fine, None, theta.weight, theta.bias) + gating)
        return torch.sigmoid(dim.conv(hidden, self.psi, self.psi_bias))


class GatedAttention(Network):
    """The base architecture with its first scale gated by the second, and both pooled.

    In 3D with 32 filters and one channel it has 198,580 parameters.

    Parameters
    ----------
    dims : 2 or 3
    width : filters of the first scale
    in_channels : channels of the image
    """

    multiple = 2
    halo = 8

    def __init__(self, dims: int, width: int, in_channels: int) -> None:
        super().__init__()
        self.dims = dims
        self.conv1 = Convolution(dims, [in_channels], width)
        self.conv2 = Convolution(dims, [width], width)
        self.conv3 = Convolution(dims, [in_channels, width], 2 * width)
        self.conv4 = Convolution(dims, [2 * width], 2 * width)
        fine, coarse = [in_channels, width], [in_channels, width, 2 * width]
        self.gate = Gate(dims, fine, coarse, max(width // 2, 1))
        self.head = Head(sum(fine) + sum(coarse))

    def forward(self, images: Tensor) -> CountOutput:
        """Return the count and the features: the gated image and first scale, then those of the coarse scale."""
        shape = images.shape[2:]
        images = prepare(images, self.conv1, self.multiple)
        fine = [images, self.conv2([self.conv1([images])])]
        pooled = [DIMS[self.dims].max_pool(part, 2) for part in fine]
        coarse = [*pooled, self.conv4([self.conv3(pooled)])]
        gate = self.gate(fine, coarse)
        features = (*(crop(gate * part, shape) for part in fine), *coarse)
        return CountOutput(self.head(features), features)
