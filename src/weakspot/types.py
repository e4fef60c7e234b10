"""Types that more than one layer speaks."""

from typing import NamedTuple

from torch import Tensor


class CountOutput(NamedTuple):
    """What every network of weakspot returns.

    Attributes
    ----------
    count : (batch,)
        The predicted number of objects; under classification the logit of "at least one".
    features : tuple of (batch, channels, *spatial)
        The feature maps that the head pools, in the order of the head's weights. Several entries stand for one
        concatenation that is never made, possibly of several resolutions.
    """

    count: Tensor  # type: ignore[assignment]
    features: tuple[Tensor, ...]
