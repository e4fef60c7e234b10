"""The images themselves as maps: the baseline of section 2.1.3."""

from torch import Tensor, nn


def intensity(network: nn.Module, images: Tensor) -> Tensor:
    """Return the images' intensities, the mean over their channels; the network is not asked.

    Parameters
    ----------
    network : any, for the one signature of all methods
    images : (batch, channels, *spatial)

    Returns
    -------
    (batch, *spatial)
        In the images' unit.
    """
    return images.mean(1)
