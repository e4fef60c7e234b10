"""A scene of the oracle as the package takes it."""

import numpy as np

from weakspot.evaluation import detections_of, truth_of


def built(scene, counts=None, **truth):
    """Return the detections and the truth of a list of (objects, detections, scores)."""
    shaped = [[np.array(points, float) for points in image[:2]] for image in scene]
    truth = truth_of([objects for objects, _ in shaped], **truth)
    return detections_of([found for _, found in shaped], [image[2] for image in scene], truth, counts), truth
