"""All detections in the order in which a curve takes them in, and how many hits each adds.

Whatever the weights of the images, a curve is a cumulative sum over a sweep: resampling the images needs no
new matching.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from weakspot.evaluation.conventions import Conventions
from weakspot.evaluation.matching import RULES, greedy_links
from weakspot.evaluation.reach import Links, links, measure
from weakspot.evaluation.scene import Detections, FloatArray, IntArray, Truth


@dataclass(frozen=True, eq=False)
class Sweep:
    """Detections in the order in which they are kept.

    Attributes
    ----------
    image : (detections,) the image of each
    hits : (detections,) how many hits it adds to those of its image
        0 or 1 under the rules `gated` and `greedy`. Under `paper` any number: a new detection can shift the
        whole assignment. Within a block of one image only the sum has a meaning.
    ends : (blocks,) the last detection of each block that comes and goes together
    thresholds : (1 + blocks,)
        The lowest score kept, or k, at each block's end; the first entry is where nothing is kept.
    objects : (images,) number of objects in each image
    """

    image: IntArray
    hits: IntArray
    ends: IntArray
    thresholds: FloatArray
    objects: IntArray


def sweep(detections: Detections, truth: Truth, conventions: Conventions) -> Sweep:
    """Order the detections by the convention's selection, and match what is kept at every block's end.

    Under `top_k` the k-th best detections of all images are one block.
    """
    by_rank = conventions.selection == "top_k"
    key = (-1.0 - ranks(detections)).astype(float) if by_rank else detections.scores
    order = np.argsort(-key, kind="stable")
    ends = np.flatnonzero(np.diff(key[order], append=-np.inf))
    hits = np.zeros(len(key), np.intp)
    if conventions.matching == "gated":
        hits[_gated_hits(links(detections, truth, conventions), order, len(truth.image))] = 1
    elif conventions.matching == "greedy" and not by_rank:
        # What is kept comes before what is not, so that one run holds the matching at every point of the
        # curve. (By rank, equal scores can be torn apart, and the nearest of them is no longer the first.)
        near = links(detections, truth, conventions)
        hits[near.detection[greedy_links(near.detection, near.object, near.distance, key[near.detection])]] = 1
    else:
        _match_anew(hits, detections, truth, conventions, key, order)
    at_ends = key[order][ends]
    thresholds = np.append(0, -at_ends) if by_rank else np.append(np.inf, at_ends)
    return Sweep(detections.image[order], hits[order], ends, thresholds, truth.counts)


def ranks(detections: Detections) -> IntArray:
    """Return the rank of each detection in its image (n,), the best being 0; equal scores in the order given."""
    order = np.lexsort((-detections.scores, detections.image))
    found = np.empty(len(order), np.intp)
    found[order] = np.arange(len(order)) - np.searchsorted(detections.image, detections.image[order])
    return found


def _gated_hits(near: Links, order: IntArray, n_objects: int) -> list[int]:
    """Return the detections with which the largest matching within reach grows, by one pair each.

    Adding detections one by one, the largest matching grows exactly if a path of free and taken links leads
    from the new detection to a free object (Berge 1957). If none does, the objects that were reached, and the
    detections that hold them, can never be part of such a path again, so each link is gone over in vain at
    most once. Which detections it grows with depends on their order within a block, their number does not
    (the sets that can be matched form a matroid).
    """
    starts = np.searchsorted(near.detection, np.arange(len(order) + 1))
    targets, borders = near.object.tolist(), starts.tolist()
    reach = {which: targets[borders[which] : borders[which + 1]] for which in np.unique(near.detection).tolist()}
    holder: list[int] = [-1] * n_objects
    held: dict[int, int] = {}
    closed: set[int] = set()

    def grows(start: int) -> bool:
        came_from: dict[int, int] = {}  # object: the detection from which it was reached
        queue = [start]
        for detection in queue:
            for target in reach[detection]:
                if target in came_from or target in closed:
                    continue
                came_from[target] = detection
                if holder[target] < 0:
                    _shift(start, target, came_from, holder, held)
                    return True
                queue.append(holder[target])
        closed.update(came_from)
        return False

    return [which for which in order[np.diff(starts)[order] > 0].tolist() if grows(which)]


def _shift(start: int, target: int, came_from: dict[int, int], holder: list[int], held: dict[int, int]) -> None:
    """Hand every object on the path from ``start`` to the free ``target`` to the detection that reached it."""
    while True:
        detection = came_from[target]
        holder[target] = detection
        before = held.get(detection)
        held[detection] = target
        if detection == start or before is None:
            return
        target = before


def _match_anew(
    hits: IntArray, detections: Detections, truth: Truth, conventions: Conventions, key: FloatArray, order: IntArray
) -> None:
    """Match again at the end of every block of every image; what it adds goes to its last detection in ``hits``."""
    rule = RULES[conventions.matching]
    first = np.searchsorted(truth.image, np.arange(truth.n_images + 1))
    for image, which in _by_image(detections.image, order):
        objects = np.arange(first[image], first[image + 1])
        if len(objects):
            distance, within = measure(detections, truth, which[:, None], objects[None], conventions)
            scores = detections.scores[which]
            stops = np.flatnonzero(np.diff(key[which], append=-np.inf)) + 1
            found = [len(rule(distance[:n], within[:n], scores[:n])[0]) for n in stops.tolist()]
            hits[which[stops - 1]] = np.diff(found, prepend=0)


def _by_image(image: IntArray, order: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Yield each image that has detections, and these in their order."""
    grouped = order[np.argsort(image[order], kind="stable")]
    present, starts = np.unique(image[grouped], return_index=True)
    borders = itertools.pairwise([*starts.tolist(), len(grouped)])
    for one, (start, stop) in zip(present.tolist(), borders, strict=True):
        yield one, grouped[start:stop]
