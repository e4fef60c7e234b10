"""Slow evaluation that is right at a glance, and the same done wrong.

A scene is a list of images (objects, detections, scores). Every number is recomputed from scratch for every threshold,
with matchings found by going through all of them.
"""

import itertools
import math

import numpy as np


def distance(a, b):
    return math.dist(a, b)


def scaled(scene, spacings):
    """Give the scene in the unit of the spacings, one of each image: whole numbers stay whole, and so exact."""
    return [
        (*([tuple(s * x for s, x in zip(spacing, point, strict=True)) for point in points] for points in image), scores)
        for (*image, scores), spacing in zip(scene, spacings, strict=True)
    ]


def assignments(n, m):
    """Give all one-to-one assignments of min(n, m) pairs between n detections and m objects."""
    if n <= m:
        for objects in itertools.permutations(range(m), n):
            yield list(zip(range(n), objects, strict=True))
    else:
        for detections in itertools.permutations(range(n), m):
            yield list(zip(detections, range(m), strict=True))


def matchings(near):
    """Give all one-to-one sets of pairs out of ``near``."""
    for size in range(len(near) + 1):
        for pairs in itertools.combinations(near, size):
            if len({d for d, _ in pairs}) == len({o for _, o in pairs}) == size:
                yield list(pairs)


def gated(objects, detections, scores, radius, strict=False):
    within = [
        (d, o)
        for d, o in itertools.product(range(len(detections)), range(len(objects)))
        if (distance(detections[d], objects[o]) < radius if strict else distance(detections[d], objects[o]) <= radius)
    ]
    return min(
        matchings(within), key=lambda pairs: (-len(pairs), sum(distance(detections[d], objects[o]) for d, o in pairs))
    )


def paper(objects, detections, scores, radius):
    best = min(
        assignments(len(detections), len(objects)),
        key=lambda pairs: sum(distance(detections[d], objects[o]) for d, o in pairs),
    )
    return [(d, o) for d, o in best if distance(detections[d], objects[o]) < radius]


def greedy(objects, detections, scores, radius):
    pairs, left, free = [], list(range(len(detections))), set(range(len(objects)))
    while left:
        top = [d for d in left if scores[d] == max(scores[e] for e in left)]
        near = [
            (distance(detections[d], objects[o]), d, o)
            for d in top
            for o in free
            if distance(detections[d], objects[o]) <= radius
        ]
        if not near:
            left = [d for d in left if d not in top]
            continue
        _, d, o = min(near)
        pairs.append((d, o))
        left.remove(d)
        free.remove(o)
    return pairs


RULES = {"gated": gated, "paper": paper, "greedy": greedy}


def curve(
    scene,
    radius,
    rule="gated",
    averaging="image",
    selection="threshold",
    *,
    last_point=True,
    strict=False,
    empty_images=True,
    rematch=True,
    ties_together=True,
    repeats_are_false=True,
):
    """Return [(fp, sensitivity, threshold)]; each flag, turned, is a known mistake."""
    if selection == "threshold":
        keys = [list(scores) for _, _, scores in scene]
    else:
        keys = []
        for _, _, scores in scene:
            order = sorted(range(len(scores)), key=lambda d: -scores[d])
            keys.append([-(order.index(d) + 1) for d in range(len(scores))])
    if not ties_together:
        keys = [[key - 1e-9 * (100 * i + j) for j, key in enumerate(row)] for i, row in enumerate(keys)]
    levels = sorted({key for row in keys for key in row}, reverse=True)
    match = (lambda *args: gated(*args, strict=True)) if strict else RULES[rule]
    once = [{d for d, _ in match(o, p, s, radius)} for o, p, s in scene]
    points = [(0.0, math.nan if all(not o for o, _, _ in scene) else 0.0, math.inf if selection == "threshold" else 0)]
    for level in levels:
        found, total, sensitivities, false = 0, 0, [], 0
        for (objects, detections, scores), row, hits_of_all in zip(scene, keys, once, strict=True):
            kept = [d for d in range(len(detections)) if row[d] >= level]
            if rematch:
                pairs = match(objects, [detections[d] for d in kept], [scores[d] for d in kept], radius)
                hits = len(pairs)
            else:
                hits = len(hits_of_all & set(kept))
            found, total = found + hits, total + len(objects)
            repeats = [d for d in kept if any(distance(detections[d], o) <= radius for o in objects)]
            false += len(kept) - hits if repeats_are_false else len(kept) - max(len(repeats), hits)
            if objects:
                sensitivities.append(hits / len(objects))
        images = len(scene) if empty_images else sum(bool(o or p) for o, p, _ in scene)
        if not total:
            sensitivity = math.nan
        elif averaging == "image":
            sensitivity = sum(sensitivities) / len(sensitivities)
        else:
            sensitivity = found / total
        points.append((false / images, sensitivity, level if selection == "threshold" else -level))
    # A point with more false positives than a later one is left off (only `paper` has such).
    points = [p for i, p in enumerate(points) if all(p[0] <= later[0] for later in points[i:])]
    return points if last_point else points[:-1]


def read(points, rate):
    """Read a curve by linear interpolation: the upper end of a step, flat behind the end."""
    before = [p for p in points if p[0] <= rate][-1]
    after = [p for p in points if p[0] > rate]
    if not after:
        return before[1]
    return before[1] + (rate - before[0]) / (after[0][0] - before[0]) * (after[0][1] - before[1])


def area(points, max_fp):
    """Integrate piece by piece: between two places where it can bend, a line's area is its middle height."""
    bends = sorted({0.0, max_fp, *(p[0] for p in points if p[0] < max_fp)})
    return sum((b - a) * read(points, (a + b) / 2) for a, b in itertools.pairwise(bends)) / max_fp


# Each is a mistake made by a released tool or an obvious one (the flag that turns it on).
WRONG = {
    "the last point dropped": {"last_point": False},
    "< for <=": {"strict": True},
    "images without anything forgotten": {"empty_images": False},
    "matched once for all thresholds": {"rematch": False},
    "ties torn apart": {"ties_together": False},
    "repeated hits not counted as false": {"repeats_are_false": False},
}

# Five images worked by hand; all points on a line, radius 2.
#   image   objects    detections (score)                       what they are
#   A       10, 20     10 (.9), 21 (.5)                          two hits
#   B       10         12 (.8), 10 (.4)                          12 is exactly 2 away: a hit; with 10 still one
#   C       -          5 (.7)                                    false
#   D       -          -                                         counts in the mean of the false positives
#   E       10, 12     11 (.6), 30 (.6), 8 (.5)                  11 is near both, 8 near 10 only: two hits
# so with each threshold
#   threshold   hits in A B E   mean over A, B, E     of 5 objects   false positives / 5 images
#   .9          1 0 0           (1/2 + 0 + 0) / 3     1/5            0
#   .8          1 1 0           (1/2 + 1 + 0) / 3     2/5            0
#   .7          1 1 0           1/2                   2/5            1/5   C
#   .6          1 1 1           (1/2 + 1 + 1/2) / 3   3/5            2/5   E's 30; together with 11
#   .5          2 1 2           1                     1              2/5
#   .4          2 1 2           1                     1              3/5   B's second
FIVE = [
    ([(0, 10), (0, 20)], [(0, 10), (0, 21)], [0.9, 0.5]),
    ([(0, 10)], [(0, 12), (0, 10)], [0.8, 0.4]),
    ([], [(0, 5)], [0.7]),
    ([], [], []),
    ([(0, 10), (0, 12)], [(0, 11), (0, 30), (0, 8)], [0.6, 0.6, 0.5]),
]
FIVE_CURVE = {
    "fp": [0, 0, 0, 1 / 5, 2 / 5, 2 / 5, 3 / 5],
    "image": [0, 1 / 6, 1 / 2, 1 / 2, 2 / 3, 1, 1],
    "object": [0, 1 / 5, 2 / 5, 2 / 5, 3 / 5, 1, 1],
    "threshold": [np.inf, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
}
# Area to 1: 1/5 * 1/2 + 1/5 * (1/2 + 2/3) / 2 + 3/5 * 1, and 1/5 * 2/5 + 1/5 * (2/5 + 3/5) / 2 + 3/5 * 1.
FIVE_FAUC = {"image": 49 / 60, "object": 0.78}
# The k best of each image, E's 11 before its 30:
#   k   hits in A B E   mean        false
#   1   1 1 1           2/3         1/5    C
#   2   2 1 1           5/6         3/5    and B's second, E's 30
#   3   2 1 2           1           3/5
FIVE_TOP_K = {"fp": [0, 1 / 5, 3 / 5, 3 / 5], "image": [0, 2 / 3, 5 / 6, 1], "threshold": [0, 1, 2, 3]}


def random_scene(seed, images=4, most=4, step=1.0, levels=5, dims=2):
    """Give small images with near and far points, some of equal score.

    Coordinates are on a grid of ``step``, so that distances are often equal, or anywhere for 0, so that they never are.
    """
    rng = np.random.default_rng(seed)

    def place(count):
        points = rng.uniform(0, 6, (count, dims))
        return np.unique((points / step).round() * step if step else points, axis=0)

    scene = []
    for _ in range(images):
        n, m = rng.integers(0, most + 1, 2)
        objects, detections = place(m), rng.permutation(place(n))
        scores = rng.integers(0, levels, len(detections)) / 4
        scene.append(([tuple(o) for o in objects.tolist()], [tuple(d) for d in detections.tolist()], scores.tolist()))
    return scene
