"""Networks that map an image to a count and to the features that the count is pooled from."""

from weakspot.networks.build import ARCHITECTURES, NetworkSettings, build

__all__ = ["ARCHITECTURES", "NetworkSettings", "build"]
