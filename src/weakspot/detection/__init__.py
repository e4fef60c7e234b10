"""From an attention map to candidate points with scores: arrays in, arrays out, in any number of dimensions."""

from weakspot.detection.peaks import Candidates, candidates
from weakspot.detection.slices import candidates_in, take_slice

__all__ = ["Candidates", "candidates", "candidates_in", "take_slice"]
