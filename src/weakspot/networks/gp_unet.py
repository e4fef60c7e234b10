"""GP-Unet: the paper's method (section 2.2; A in Fig. 2), and its two variants (section 4.2)."""

from torch import Tensor

from weakspot.networks.blocks import DIMS, Convolution, Head, Network, crop, prepare
from weakspot.types import CountOutput


class GPUnet(Network):
    """A small segmentation network whose last features, at full resolution, are pooled to a count.

    Two convolutions, joined with the input; max pooling; two convolutions of twice the width, joined with what they
    were given; upsampled, joined with the features before pooling, and convolved once more. In 3D with 32 filters and
    one channel it has 308,705 parameters.

    Parameters
    ----------
    dims : 2 or 3
    width : filters of the first scale
    in_channels : channels of the image
    skip : the blockwise skip connections (in red in Fig. 2); without them it is ``gp_unet_no_skip``
    pool : "mean", or "max" for ``gp_unet_max_pool``
    """

    multiple = 2
    halo = 8

    def __init__(self, dims: int, width: int, in_channels: int, skip: bool = True, pool: str = "mean") -> None:
        super().__init__()
        self.dims, self.skip = dims, skip
        passed = [in_channels] if skip else []
        self.conv1 = Convolution(dims, [in_channels], width)
        self.conv2 = Convolution(dims, [width], width)
        self.conv3 = Convolution(dims, [*passed, width], 2 * width)
        self.conv4 = Convolution(dims, [2 * width], 2 * width)
        coarse = [*passed, width, 2 * width] if skip else [2 * width]
        self.conv5 = Convolution(dims, [*passed, width], width, coarse)
        self.head = Head(width, pool)

    def forward(self, images: Tensor) -> CountOutput:
        """Return the count and one feature map (batch, width, *spatial) of the images' size."""
        shape = images.shape[2:]
        images = prepare(images, self.conv1, self.multiple)
        fine = [self.conv2([self.conv1([images])])]
        if self.skip:
            fine.insert(0, images)
        pooled = [DIMS[self.dims].max_pool(part, 2) for part in fine]
        coarse = [self.conv4([self.conv3(pooled)])]
        if self.skip:
            coarse = [*pooled, *coarse]
        features = (crop(self.conv5(fine, coarse), shape),)
        return CountOutput(self.head(features), features)
