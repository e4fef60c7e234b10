"""The base architecture, for Grad-CAM, Grad and guided backpropagation (section 2.2; C in Fig. 2)."""

from torch import Tensor

from weakspot.networks.blocks import DIMS, Convolution, Head, Network, prepare
from weakspot.types import CountOutput


class Base(Network):
    """GP-Unet's encoder alone: its features, at half of the resolution, are pooled to a count.

    In 3D with 32 filters and one channel it has 196,418 parameters.

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
        self.head = Head(in_channels + 3 * width)

    def forward(self, images: Tensor) -> CountOutput:
        """Return the count and the features: the pooled image, the first scale pooled, the second scale."""
        images = prepare(images, self.conv1, self.multiple)
        max_pool = DIMS[self.dims].max_pool
        pooled = (max_pool(images, 2), max_pool(self.conv2([self.conv1([images])]), 2))
        features = (*pooled, self.conv4([self.conv3(pooled)]))
        return CountOutput(self.head(features), features)
