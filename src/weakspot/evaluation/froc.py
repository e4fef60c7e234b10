"""Free-response ROC curves and the area under them (paper 3.7)."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakspot.errors import InputError
from weakspot.evaluation.matching import Reach, Scene, distances, gated_increments

FloatArray = NDArray[np.float64]
AVERAGING = ("image", "object")


@dataclass(frozen=True, eq=False)
class Increments:
    """All detections of all images in descending order of score, with what each adds.

    Whatever the images' weights, a curve is a cumulative sum over these, so that resampling needs no new matching.

    Attributes
    ----------
    image : (n,) index of each detection's image
    score : (n,)
    hit, false : (n,) what it adds to its image's hits and false positives
    last : (n,) bool
        Whether the next score is lower: detections of equal score come and go together.
    objects : (images,) number of objects in each image
    """

    image: NDArray[np.int64]
    score: FloatArray
    hit: NDArray[np.int64]
    false: NDArray[np.int64]
    last: NDArray[np.bool_]
    objects: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Froc:
    """A curve that starts at (0, 0); its last point holds every detection.

    Attributes
    ----------
    fp : (n,) average number of false positives an image; lower is better
    sensitivity : (n,) 0-1; higher is better
    threshold : (n,) lowest score kept; infinite at the start
    """

    fp: FloatArray
    sensitivity: FloatArray
    threshold: FloatArray


def increments(scenes: Sequence[Scene], reach: Reach) -> Increments:
    """Match every image's detections as they are added by descending score."""
    ordered = [scene.ordered() for scene in scenes]
    hits = [gated_increments(np.isfinite(distances(scene, reach))) for scene in ordered]
    image = np.repeat(np.arange(len(scenes)), [len(scene.scores) for scene in scenes])
    score = np.concatenate([np.zeros(0), *(scene.scores for scene in ordered)])
    hit = np.concatenate([np.zeros(0, np.int64), *hits])
    order = np.argsort(-score, kind="stable")
    score, hit = score[order], hit[order]
    last = np.append(score[1:] < score[:-1], True)[: len(score)]
    objects = np.array([len(scene.objects) for scene in scenes], np.int64)
    return Increments(image[order], score, hit, 1 - hit, last, objects)


def curves(found: Increments, weights: FloatArray, averaging: str) -> tuple[FloatArray, FloatArray]:
    """Return the false positives and sensitivities of every resample at the ends of all blocks of equal score.

    Parameters
    ----------
    found
    weights : (resamples, images)
        How often each image was drawn.
    averaging : "image" or "object"
        Sensitivity averaged over the images with at least one object, or pooled over all objects.

    Returns
    -------
    (resamples, points) each, the first point being (0, 0); the sensitivity is NaN in a resample without objects
    """
    if averaging not in AVERAGING:
        raise InputError(f"averaging {averaging!r}: choose one of {', '.join(AVERAGING)}")
    share = np.where(found.objects > 0, 1 / np.maximum(found.objects, 1), 0) if averaging == "image" else 1.0
    total = weights @ (found.objects > 0 if averaging == "image" else found.objects)
    ends = np.flatnonzero(found.last)

    fp = np.pad(np.cumsum(weights[:, found.image] * found.false, axis=1)[:, ends], ((0, 0), (1, 0)))
    hits = np.pad(np.cumsum((weights * share)[:, found.image] * found.hit, axis=1)[:, ends], ((0, 0), (1, 0)))
    with np.errstate(invalid="ignore"):
        return fp / weights.sum(1, keepdims=True), hits / total[:, None]


def froc(found: Increments, averaging: str = "image") -> Froc:
    """Return the curve of one threshold over all images."""
    if not found.objects.any():
        warnings.warn("no image has an object: sensitivity is not defined (NaN)", RuntimeWarning, stacklevel=2)
    (fp,), (sensitivity,) = curves(found, np.ones((1, len(found.objects))), averaging)
    return Froc(fp, sensitivity, np.append(np.inf, found.score[found.last]))


def area(fp: FloatArray, sensitivity: FloatArray, max_fp: float) -> float:
    """Return the area under a curve from 0 to ``max_fp``, divided by ``max_fp``: between 0 and 1, higher is better.

    The curve is read by linear interpolation, and goes on flat from its last point.
    """
    if not 0 < max_fp < np.inf:
        raise InputError(f"false positives up to {max_fp}: expected a finite number above 0")
    inside = fp <= max_fp
    x = np.append(fp[inside], max_fp)
    # Where the curve rises straight up at max_fp, interpolation would take the top; the area is the same.
    y = np.append(sensitivity[inside], np.interp(max_fp, fp, sensitivity))
    return float(np.trapezoid(y, x) / max_fp)
