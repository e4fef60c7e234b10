"""Which detections are hits: one-to-one matching of points (paper 3.7)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from weakspot.errors import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Reach:
    """When a detection may count for an object.

    Attributes
    ----------
    radius : float or None
        At most this far from the object's point, in mm if ``in_mm``, else in voxels. None: inside of the object's
        extent, a box centred on its point, ``-extent / 2 <= difference < extent / 2`` along every axis, so that boxes
        side by side share no point.
    in_mm : bool
    """

    radius: float | None = None
    in_mm: bool = False

    def __post_init__(self) -> None:
        if self.radius is not None and not 0 <= self.radius < np.inf:
            raise InputError(f"a radius of {self.radius}: expected a finite number, at least 0")

    def describe(self) -> str:
        """Return the convention's name."""
        if self.radius is None:
            return "inside the object's extent"
        return f"distance <= {self.radius:g} {'mm' if self.in_mm else 'voxels'}"


@dataclass(frozen=True, eq=False)
class Scene:
    """One image's detections and objects.

    Attributes
    ----------
    points : (n, dims)
        Detections, as voxel indices.
    scores : (n,)
        The higher, the surer.
    objects : (m, dims)
        The truth.
    extents : (m, dims) or None
        Sizes of the objects in voxels, where a hit is inside of them.
    spacing_mm : (dims,) or None
        Size of a voxel, where the radius is in mm.
    """

    points: FloatArray
    scores: FloatArray
    objects: FloatArray
    extents: FloatArray | None = None
    spacing_mm: FloatArray | None = None

    def ordered(self) -> "Scene":
        """Return the scene with its detections in descending order of score; equal scores keep their order."""
        order = np.argsort(-self.scores, kind="stable")
        return Scene(self.points[order], self.scores[order], self.objects, self.extents, self.spacing_mm)


def distances(scene: Scene, reach: Reach) -> FloatArray:
    """Return the distances (n, m) of detections and objects, infinite where out of reach."""
    difference = scene.points[:, None] - scene.objects[None]
    if reach.in_mm:
        if scene.spacing_mm is None:
            raise InputError("a radius in mm needs the images' spacing: give it in the cohort, or a radius in voxels")
        difference = difference * np.asarray(scene.spacing_mm)
    distance = np.sqrt((difference**2).sum(-1))
    if reach.radius is not None:
        within = distance <= reach.radius
    elif scene.extents is None:
        raise InputError("the truth has no extents (height, width) for a hit to be inside of: give a radius")
    else:
        half = scene.extents[None] / 2
        within = ((difference >= -half) & (difference < half)).all(-1)
    return np.where(within, distance, np.inf)


def gated(distance: FloatArray) -> NDArray[np.int64]:
    """Match one-to-one within reach: the most pairs, and among those the least total distance.

    Parameters
    ----------
    distance : (n, m)
        Infinite where out of reach.

    Returns
    -------
    (n,) int
        The object of each detection, -1 for none.
    """
    matched = np.full(len(distance), -1)
    within = np.isfinite(distance)
    if within.any():
        # A pair out of reach costs more than all pairs within reach together, so that no sum prefers it.
        cost = np.where(within, distance, distance[within].sum() + 1)
        rows, columns = linear_sum_assignment(cost)
        hits = within[rows, columns]
        matched[rows[hits]] = columns[hits]
    return matched


def gated_increments(within: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Say by how much the number of hits grows as detections are added one by one.

    The largest matching of the first k detections has either as many pairs as that of the first k - 1, or one more: the
    k-th adds a pair exactly if an augmenting path starts from it (Berge 1957). So the matching is that of the kept
    detections at every k, not one made once.

    Parameters
    ----------
    within : (n, m) bool
        Which detections reach which objects, in descending order of score.

    Returns
    -------
    (n,) of 0 and 1
    """
    growth = np.zeros(len(within), np.int64)
    holder = [-1] * within.shape[1]  # the detection that each object is matched to
    reachable = {int(row): np.flatnonzero(within[row]).tolist() for row in np.flatnonzero(within.any(1))}

    def augment(detection: int, tried: set[int]) -> bool:
        for target in reachable[detection]:
            if target not in tried:
                tried.add(target)
                if holder[target] < 0 or augment(holder[target], tried):
                    holder[target] = detection
                    return True
        return False

    for detection in reachable:
        growth[detection] = augment(detection, set())
    return growth


def scene_of(points: Any, scores: Any, objects: Any, extents: Any = None, spacing_mm: Any = None) -> Scene:
    """Build a scene, checked.

    Raises
    ------
    InputError
        For lengths that differ, coordinates or scores that are not finite, or a point given twice.
    """
    points, scores, objects = (np.asarray(each, float) for each in (points, scores, objects))
    if len(points) != len(scores):
        raise InputError(f"{len(points)} detections with {len(scores)} scores: expected one score each")
    for what, values in {"detections": points, "scores": scores, "objects": objects}.items():
        if not np.isfinite(values).all():
            raise InputError(f"{what}: {np.count_nonzero(~np.isfinite(values))} values are NaN or infinite")
    for what, values in {"detections": points, "objects": objects}.items():
        if (twice := len(values) - len(np.unique(values, axis=0))) and len(values):
            raise InputError(f"{what}: {twice} points are given twice")
    return Scene(points, scores, objects, extents, spacing_mm)
