"""GP-Unet no residual: the deeper first version (Dubost et al. 2017; D in Fig. 2)."""

from torch import Tensor

from weakspot.networks.blocks import DIMS, Convolution, Head, Network, crop, prepare
from weakspot.types import CountOutput


class GPUnetNoResidual(Network):
    """Two scales down and up again, without blockwise skip connections.

    The text gives the first convolution of the upsampling path twice the width, which makes 830,753 parameters in
    3D; the published count, 637,185, is met only with the single width, the default.

    Parameters
    ----------
    dims : 2 or 3
    width : filters of the first scale
    in_channels : channels of the image
    up_width : filters of the first convolution on the way up; ``width`` unless given
    """

    multiple = 4
    halo = 16

    def __init__(self, dims: int, width: int, in_channels: int, up_width: int | None = None) -> None:
        super().__init__()
        self.dims = dims
        up_width = up_width or width
        self.conv1 = Convolution(dims, [in_channels], width)
        self.conv2 = Convolution(dims, [width], width)
        self.conv3 = Convolution(dims, [width], 2 * width)
        self.conv4 = Convolution(dims, [2 * width], 2 * width)
        self.conv5 = Convolution(dims, [2 * width], 4 * width)
        self.conv6 = Convolution(dims, [2 * width], up_width, [4 * width])
        self.conv7 = Convolution(dims, [width], width, [up_width])
        self.head = Head(width)

    def forward(self, images: Tensor) -> CountOutput:
        """Return the count and one feature map (batch, width, *spatial) of the images' size."""
        shape = images.shape[2:]
        images = prepare(images, self.conv1, self.multiple)
        max_pool = DIMS[self.dims].max_pool
        fine = self.conv2([self.conv1([images])])
        middle = self.conv4([self.conv3([max_pool(fine, 2)])])
        coarse = self.conv5([max_pool(middle, 2)])
        features = (crop(self.conv7([fine], [self.conv6([middle], [coarse])]), shape),)
        return CountOutput(self.head(features), features)
