"""Detections at the predicted count (paper 3.7)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakspot.evaluation.matching import Reach, Scene, distances, gated


@dataclass(frozen=True, eq=False)
class Tally:
    """What was found in each image at one operating point.

    Attributes
    ----------
    hits, false, missed : (images,) int
    """

    hits: NDArray[np.int64]
    false: NDArray[np.int64]
    missed: NDArray[np.int64]


def tally(scenes: Sequence[Scene], numbers: NDArray[np.int64], reach: Reach) -> Tally:
    """Match the ``numbers[i]`` best detections of each image i, or all that it has."""
    rows = []
    for scene, number in zip(scenes, numbers, strict=True):
        ordered = scene.ordered()
        kept = Scene(ordered.points[:number], ordered.scores[:number], scene.objects, scene.extents, scene.spacing_mm)
        hits = int((gated(distances(kept, reach)) >= 0).sum())
        rows.append((hits, len(kept.points) - hits, len(scene.objects) - hits))
    hits_, false, missed = np.array(rows, np.int64).reshape(-1, 3).T
    return Tally(hits_, false, missed)


def rounded(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return predicted counts as whole numbers, a half rounded up, none below zero."""
    return np.maximum(np.floor(np.asarray(counts, float) + 0.5), 0).astype(np.int64)


def summary(found: Tally, averaging: str) -> dict[str, float]:
    """Return sensitivity and precision (0-1, higher is better), and average false positives and misses an image."""
    objects, positives = found.hits + found.missed, found.hits + found.false
    if averaging == "image":
        shares = found.hits[objects > 0] / objects[objects > 0]
        sensitivity = shares.mean() if len(shares) else np.nan
    else:
        sensitivity = found.hits.sum() / objects.sum() if objects.sum() else np.nan
    return {
        "sensitivity": float(sensitivity),
        "precision": float(found.hits.sum() / positives.sum()) if positives.sum() else np.nan,
        "fp_avg": float(found.false.mean()),
        "fn_avg": float(found.missed.mean()),
    }
