"""The paper's networks written out for reading: one module per box of Fig. 2, real concatenations, no tricks.

They are the oracle of the fast networks, and what other packages' attention methods are measured on: every ReLU is a
module of its own, the head is a linear layer on a concatenation of pooled features, the output is (batch, 1).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
MAX_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
LINEAR = {2: "bilinear", 3: "trilinear"}


def pad(images: Tensor, multiple: int) -> Tensor:
    for axis in range(2, images.ndim):
        shape = list(images.shape)
        shape[axis] = -shape[axis] % multiple
        images = torch.cat([images, images.new_zeros(shape)], axis)
    return images


def crop(features: Tensor, images: Tensor) -> Tensor:
    for axis in range(2, images.ndim):
        features = features.narrow(axis, 0, images.shape[axis])
    return features


def concatenate(*parts: Tensor) -> Tensor:
    return torch.cat(parts, dim=1)


class Plain(nn.Module):
    """What all have in common: pooling of all scales, then one linear layer."""

    def __init__(self, dims: int, pool: str = "mean") -> None:
        super().__init__()
        self.dims, self.pool = dims, pool
        self.max_pool = MAX_POOL[dims](2)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.last = nn.Identity()  # whose output is the (last) features before pooling

    def conv(self, in_channels: int, out_channels: int) -> nn.Module:
        return CONV[self.dims](in_channels, out_channels, 3, padding=1)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the concatenated features of each scale that is pooled."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        pooled = [
            scale.flatten(2).mean(2) if self.pool == "mean" else scale.flatten(2).amax(2)
            for scale in self.features(images)
        ]
        return self.head(concatenate(*pooled))


class GPUnet(Plain):
    def __init__(self, dims: int, width: int, in_channels: int, skip: bool = True, pool: str = "mean") -> None:
        super().__init__(dims, pool)
        self.skip = skip
        passed = in_channels if skip else 0
        self.conv1, self.relu1 = self.conv(in_channels, width), nn.ReLU()
        self.conv2, self.relu2 = self.conv(width, width), nn.ReLU()
        self.conv3, self.relu3 = self.conv(passed + width, 2 * width), nn.ReLU()
        self.conv4, self.relu4 = self.conv(2 * width, 2 * width), nn.ReLU()
        deep = passed + width + 2 * width if skip else 2 * width
        self.conv5, self.relu5 = self.conv(passed + width + deep, width), nn.ReLU()
        self.head = nn.Linear(width, 1)

    def features(self, images: Tensor) -> list[Tensor]:
        padded = pad(images, 2)
        fine = self.relu2(self.conv2(self.relu1(self.conv1(padded))))
        fine = concatenate(padded, fine) if self.skip else fine
        pooled = self.max_pool(fine)
        coarse = self.relu4(self.conv4(self.relu3(self.conv3(pooled))))
        coarse = concatenate(pooled, coarse) if self.skip else coarse
        last = self.relu5(self.conv5(concatenate(fine, self.upsample(coarse))))
        return [self.last(crop(last, images))]


class GPUnetNoResidual(Plain):
    def __init__(self, dims: int, width: int, in_channels: int, up_width: int | None = None) -> None:
        super().__init__(dims)
        up_width = up_width or width
        self.conv1, self.relu1 = self.conv(in_channels, width), nn.ReLU()
        self.conv2, self.relu2 = self.conv(width, width), nn.ReLU()
        self.conv3, self.relu3 = self.conv(width, 2 * width), nn.ReLU()
        self.conv4, self.relu4 = self.conv(2 * width, 2 * width), nn.ReLU()
        self.conv5, self.relu5 = self.conv(2 * width, 4 * width), nn.ReLU()
        self.conv6, self.relu6 = self.conv(6 * width, up_width), nn.ReLU()
        self.conv7, self.relu7 = self.conv(width + up_width, width), nn.ReLU()
        self.head = nn.Linear(width, 1)

    def features(self, images: Tensor) -> list[Tensor]:
        fine = self.relu2(self.conv2(self.relu1(self.conv1(pad(images, 4)))))
        middle = self.relu4(self.conv4(self.relu3(self.conv3(self.max_pool(fine)))))
        coarse = self.relu5(self.conv5(self.max_pool(middle)))
        up = self.relu6(self.conv6(concatenate(middle, self.upsample(coarse))))
        last = self.relu7(self.conv7(concatenate(fine, self.upsample(up))))
        return [self.last(crop(last, images))]


class Base(Plain):
    def __init__(self, dims: int, width: int, in_channels: int) -> None:
        super().__init__(dims)
        self.conv1, self.relu1 = self.conv(in_channels, width), nn.ReLU()
        self.conv2, self.relu2 = self.conv(width, width), nn.ReLU()
        self.conv3, self.relu3 = self.conv(in_channels + width, 2 * width), nn.ReLU()
        self.conv4, self.relu4 = self.conv(2 * width, 2 * width), nn.ReLU()
        self.head = nn.Linear(in_channels + 3 * width, 1)

    def features(self, images: Tensor) -> list[Tensor]:
        padded = pad(images, 2)
        fine = concatenate(padded, self.relu2(self.conv2(self.relu1(self.conv1(padded)))))
        pooled = self.max_pool(fine)
        return [self.last(concatenate(pooled, self.relu4(self.conv4(self.relu3(self.conv3(pooled))))))]


class Gate(nn.Module):
    def __init__(self, dims: int, fine: int, coarse: int, width: int) -> None:
        super().__init__()
        self.dims = dims
        self.theta = CONV[dims](fine, width, 1)
        self.phi = CONV[dims](coarse, width, 1)
        self.relu = nn.ReLU()
        self.psi = CONV[dims](width, 1, 1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        gating = F.interpolate(self.phi(coarse), scale_factor=2, mode=LINEAR[self.dims], align_corners=False)
        return torch.sigmoid(self.psi(self.relu(self.theta(fine) + gating)))


class GatedAttention(Plain):
    def __init__(self, dims: int, width: int, in_channels: int) -> None:
        super().__init__(dims)
        self.conv1, self.relu1 = self.conv(in_channels, width), nn.ReLU()
        self.conv2, self.relu2 = self.conv(width, width), nn.ReLU()
        self.conv3, self.relu3 = self.conv(in_channels + width, 2 * width), nn.ReLU()
        self.conv4, self.relu4 = self.conv(2 * width, 2 * width), nn.ReLU()
        self.gate = Gate(dims, in_channels + width, in_channels + 3 * width, max(width // 2, 1))
        self.head = nn.Linear(2 * in_channels + 4 * width, 1)

    def features(self, images: Tensor) -> list[Tensor]:
        padded = pad(images, 2)
        fine = concatenate(padded, self.relu2(self.conv2(self.relu1(self.conv1(padded)))))
        pooled = self.max_pool(fine)
        coarse = concatenate(pooled, self.relu4(self.conv4(self.relu3(self.conv3(pooled)))))
        return [crop(self.gate(fine, coarse) * fine, images), self.last(coarse)]


def plain(name: str, network: nn.Module, dims: int, width: int, in_channels: int = 1) -> Plain:
    """Return architecture ``name`` written out, with the parameters of the fast ``network``."""
    twin: Plain = {
        "gp_unet": GPUnet,
        "gp_unet_no_residual": GPUnetNoResidual,
        "gated_attention": GatedAttention,
        "base": Base,
        "gp_unet_no_skip": lambda *sizes: GPUnet(*sizes, skip=False),
        "gp_unet_max_pool": lambda *sizes: GPUnet(*sizes, pool="max"),
    }[name](dims, width, in_channels)
    renamed = {"gate.psi": "gate.psi.weight", "gate.psi_bias": "gate.psi.bias"}
    state = {renamed.get(key, key): value for key, value in network.state_dict().items()}
    state["head.weight"], state["head.bias"] = state["head.weight"][None], state["head.bias"][None]
    twin.to(state["head.bias"].dtype).load_state_dict(state)
    return twin
