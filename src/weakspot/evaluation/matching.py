"""Which detections are hits: one-to-one matching of the points of an image (paper 3.7)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from weakspot.evaluation.conventions import Conventions
from weakspot.evaluation.reach import measure
from weakspot.evaluation.scene import Detections, FloatArray, IntArray, Truth

Pairs = tuple[IntArray, IntArray]


def gated(distance: FloatArray, within: NDArray[np.bool_], scores: FloatArray) -> Pairs:
    """Match within reach: the most pairs, and among those the least total distance.

    Parameters
    ----------
    distance, within : (detections, objects)
    scores : (detections,) not used

    Returns
    -------
    detection, object : (pairs,) indices
    """
    largest = distance[within].max(initial=0)
    # As shares of the largest one, all distances of a matching together are at most min(shape): less than one
    # pair out of reach costs. So such a pair is taken only where there is no other.
    cost = np.where(within, distance / (largest or 1), min(distance.shape) + 1)
    rows, columns = linear_sum_assignment(cost)
    hits = within[rows, columns]
    return rows[hits], columns[hits]


def paper(distance: FloatArray, within: NDArray[np.bool_], scores: FloatArray) -> Pairs:
    """Match for the least total distance over all pairs, then keep those within reach; parameters as for `gated`.

    A far pair can so take an object from a near one: kept for comparison with the first author's script.
    """
    rows, columns = linear_sum_assignment(distance)
    hits = within[rows, columns]
    return rows[hits], columns[hits]


def greedy(distance: FloatArray, within: NDArray[np.bool_], scores: FloatArray) -> Pairs:
    """Give each detection, by descending score, the nearest free object within reach; parameters as for `gated`.

    Among detections of equal score the nearest pairs come first, and of these, equally near, those given first.
    """
    rows, columns = np.nonzero(within)
    taken = greedy_links(rows, columns, distance[rows, columns], scores[rows])
    return rows[taken], columns[taken]


def greedy_links(detection: IntArray, target: IntArray, distance: FloatArray, score: FloatArray) -> IntArray:
    """Return the indices of the links (n,) that greedy matching takes; ``score`` is that of each link's detection."""
    order = np.lexsort((target, detection, distance, -score))
    free_detection, free_target = set(detection.tolist()), set(target.tolist())
    taken = []
    for link, one, other in zip(order.tolist(), detection[order].tolist(), target[order].tolist(), strict=True):
        if one in free_detection and other in free_target:
            free_detection.remove(one)
            free_target.remove(other)
            taken.append(link)
    return np.array(taken, np.intp)


RULES: dict[str, Callable[[FloatArray, NDArray[np.bool_], FloatArray], Pairs]] = {
    "gated": gated,
    "paper": paper,
    "greedy": greedy,
}


def match(
    detections: Detections, truth: Truth, conventions: Conventions, kept: NDArray[np.bool_] | None = None
) -> IntArray:
    """Match the detections of every image.

    Parameters
    ----------
    kept : (detections,) which of them take part; all if not given

    Returns
    -------
    (detections,)
        The index of each one's object in ``truth.points``, -1 for none.
    """
    matched = np.full(len(detections.image), -1)
    candidates = np.arange(len(matched)) if kept is None else np.flatnonzero(kept)
    images = np.arange(truth.n_images + 1)
    borders = np.searchsorted(detections.image[candidates], images)
    first = np.searchsorted(truth.image, images)
    for image in np.flatnonzero((np.diff(borders) > 0) & (np.diff(first) > 0)):
        which = candidates[borders[image] : borders[image + 1]]
        objects = np.arange(first[image], first[image + 1])
        distance, within = measure(detections, truth, which[:, None], objects[None], conventions)
        rows, columns = RULES[conventions.matching](distance, within, detections.scores[which])
        matched[which[rows]] = objects[columns]
    return matched
