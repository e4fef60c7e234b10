"""Attention maps: where in an image a network's count comes from.

A map is raw and signed (section 3.6), of the image's own size; nothing rescales it, so maps compare across images.
"""

from weakspot.attention.cam import count_residual
from weakspot.attention.methods import METHODS, attend, attend_and_count

__all__ = ["METHODS", "attend", "attend_and_count", "count_residual"]
