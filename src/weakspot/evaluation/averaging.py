"""The two ways to average a ratio over images."""

import numpy as np
from numpy.typing import ArrayLike

from weakspot.evaluation.scene import FloatArray


def scales(denominator: ArrayLike, averaging: str) -> tuple[FloatArray, FloatArray]:
    """Return what each image's numerator is multiplied by, and what each image adds to the total (images,) each.

    With weights w the average of a ratio is ``sum(w * scale * numerator) / sum(w * total)``: for "image" the
    mean of the ratios over the images whose denominator is above 0, for "object" the ratio of the sums.
    """
    size = np.asarray(denominator, float)
    if averaging == "object":
        return np.ones_like(size), size
    return np.divide(1, size, out=np.zeros_like(size), where=size > 0), (size > 0).astype(float)


def average(numerator: ArrayLike, denominator: ArrayLike, weights: FloatArray, averaging: str) -> FloatArray:
    """Return the averaged ratio under each row of weights.

    Parameters
    ----------
    numerator, denominator : (images,)
    weights : (rows, images)
        How often each image counts.

    Returns
    -------
    (rows,)
        NaN where no image has a denominator.

    Examples
    --------
    >>> average([1, 1, 0], [1, 4, 0], np.ones((1, 3)), "image")
    array([0.625])
    >>> average([1, 1, 0], [1, 4, 0], np.ones((1, 3)), "object")
    array([0.4])
    """
    scale, total = scales(denominator, averaging)
    with np.errstate(invalid="ignore"):
        return np.asarray((weights @ (scale * np.asarray(numerator))) / (weights @ total), float)
