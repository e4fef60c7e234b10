"""Points against truth: matching, FROC, operating point, and their uncertainty.

>>> truth = truth_of([[[5, 5]], []])
>>> found = detections_of([[[5, 8]], [[1, 1]]], [[0.9], [0.1]], truth)
>>> evaluate(found, truth, Conventions(radius=4)).fauc.value
1.0
"""

from weakspot.evaluation.agreement import Agreement, agree
from weakspot.evaluation.bootstrap import Figure
from weakspot.evaluation.compare import Comparison, compare
from weakspot.evaluation.conventions import Conventions
from weakspot.evaluation.evaluate import Evaluation, evaluate
from weakspot.evaluation.scene import Detections, Truth, detections_of, truth_of
from weakspot.evaluation.slices import chosen_slices, detections_in_slices, truth_in_slices

__all__ = [
    "Agreement",
    "Comparison",
    "Conventions",
    "Detections",
    "Evaluation",
    "Figure",
    "Truth",
    "agree",
    "chosen_slices",
    "compare",
    "detections_in_slices",
    "detections_of",
    "evaluate",
    "truth_in_slices",
    "truth_of",
]
