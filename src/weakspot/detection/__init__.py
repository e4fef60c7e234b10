"""From an attention map to candidate points with scores: arrays in, arrays out, in any number of dimensions."""

from weakspot.detection.peaks import Candidates, candidates
from weakspot.detection.slices import take_slice

__all__ = ["Candidates", "candidates", "take_slice"]
