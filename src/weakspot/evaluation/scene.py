"""The points of all images: truth, and detections to be judged against it, checked on the way in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weakspot.errors import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
SHOWN = 5  # images named in a message
LARGEST = 1e15  # of coordinates, spacing and counts: their products' squares are still numbers


@dataclass(frozen=True, eq=False)
class Truth:
    """The objects of all images; make it with `truth_of`.

    Attributes
    ----------
    points : (objects, dims)
        Voxel indices, those of one image side by side.
    image : (objects,) index of each object's image, ascending
    subject : (images,) index of each image's subject
    names : (images,) for messages
    extents : (objects, dims) or None
        Sizes in voxels of the boxes centred on the points.
    spacing_mm : (images, dims) or None
    shapes : (images, dims) or None
        Sizes of the images in voxels; infinite where not known.
    slice_axis : the axis along which one slice was taken, see `weakspot.evaluation.slices`
    """

    points: FloatArray
    image: IntArray
    subject: IntArray
    names: tuple[str, ...]
    extents: FloatArray | None = None
    spacing_mm: FloatArray | None = None
    shapes: FloatArray | None = None
    slice_axis: int | None = None

    @property
    def n_images(self) -> int:
        """Return the number of images, those without objects included."""
        return len(self.subject)

    @property
    def counts(self) -> IntArray:
        """Return the number of objects in each image (images,)."""
        return np.bincount(self.image, minlength=self.n_images)


@dataclass(frozen=True, eq=False)
class Detections:
    """The detections in the images of a `Truth`; make it with `detections_of`.

    Attributes
    ----------
    points : (detections, dims)
        Voxel indices, those of one image side by side.
    image : (detections,) index of each detection's image, ascending
    scores : (detections,) the higher, the surer
    counts : (images,) predicted number of objects, as the network gave it, or None
    """

    points: FloatArray
    image: IntArray
    scores: FloatArray
    counts: FloatArray | None = None


def truth_of(
    points: Sequence[ArrayLike],
    *,
    extents: Sequence[ArrayLike] | None = None,
    spacing_mm: ArrayLike | None = None,
    subjects: Sequence[Any] | None = None,
    shapes: ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> Truth:
    """Gather the objects of all images, checked.

    Parameters
    ----------
    points : (objects, dims) of each image, as voxel indices; empty for an image without objects
    extents : (objects, dims) of each image, sizes in voxels
    spacing_mm : (dims,) for all images, or (images, dims)
    subjects : (images,) whom each image is of; if not given, each is of another
    shapes : (dims,) for all images, or (images, dims)
        Sizes in voxels, infinite where not known; points must lie between -0.5 and size - 0.5.
    names : (images,) for messages

    Raises
    ------
    InputError
        Lengths or dimensions that differ; coordinates that are not finite, repeated in an image or outside of
        it; extents or spacing not above 0.

    Examples
    --------
    >>> truth_of([[[3, 4], [8, 8]], []]).counts
    array([2, 0])
    """
    n = len(points)
    labels = tuple(str(i) for i in range(n)) if names is None else tuple(names)
    for what, given in (("subjects", subjects), ("names", labels), ("lists of extents", extents)):
        if given is not None and len(given) != n:
            raise InputError(f"{len(given)} {what} for {n} images: expected one for each")
    stacked, image = _stack("truth", points, labels)
    dims = stacked.shape[1]
    truth = Truth(
        stacked,
        image,
        np.arange(n) if subjects is None else np.unique(np.asarray(subjects, str), return_inverse=True)[1],
        labels,
        None if extents is None else _extents(extents, image, dims, labels),
        _per_image("spacing", spacing_mm, n, dims, len(image)),
        _per_image("shape", shapes, n, dims, len(image)),
    )
    _check_points("truth", stacked, image, truth)
    return truth


def detections_of(
    points: Sequence[ArrayLike], scores: Sequence[ArrayLike], truth: Truth, counts: ArrayLike | None = None
) -> Detections:
    """Gather the detections in the images of ``truth``, checked.

    Parameters
    ----------
    points : (detections, dims) of each image, as voxel indices
    scores : (detections,) of each image
    truth : of the same images, in the same order
    counts : (images,) predicted number of objects

    Raises
    ------
    InputError
        As `truth_of`; scores that are missing, and counts that are not finite.
    """
    for what, given in (("lists of detections", points), ("lists of scores", scores)):
        if len(given) != truth.n_images:
            raise InputError(f"{len(given)} {what} for {truth.n_images} images: expected one for each")
    stacked, image = _stack("detections", points, truth.names)
    per_image = [np.asarray(each, float).ravel() for each in scores]
    lengths = np.bincount(image, minlength=truth.n_images)
    _refuse("detections without a score, or scores without a detection,", lengths != [len(s) for s in per_image], truth)
    all_scores = np.concatenate([np.zeros(0), *per_image])
    _refuse("detections: scores that are missing or infinite", image[~np.isfinite(all_scores)], truth)
    if len(image) and len(truth.image) and stacked.shape[1] != truth.points.shape[1]:
        raise InputError(f"the detections are in {stacked.shape[1]}D, the truth in {truth.points.shape[1]}D")
    _check_points("detections", stacked, image, truth)
    if counts is None:
        return Detections(stacked, image, all_scores)
    predicted = np.asarray(counts, float)
    if predicted.shape != (truth.n_images,):
        raise InputError(f"counts of shape {predicted.shape} for {truth.n_images} images: expected one for each")
    _refuse("predicted counts that are NaN, infinite or immense", ~(np.abs(predicted) <= LARGEST), truth)
    return Detections(stacked, image, all_scores, predicted)


def detections_of_truth(other: Truth, truth: Truth) -> Detections:
    """Take the points of one truth as detections in another's images, all of one score: a second rater's."""
    if len(other.points) and len(truth.points) and other.points.shape[1] != truth.points.shape[1]:
        raise InputError(f"points in {other.points.shape[1]}D against points in {truth.points.shape[1]}D")
    return Detections(other.points, other.image, np.zeros(len(other.points)))


def _stack(what: str, points: Sequence[ArrayLike], names: Sequence[str]) -> tuple[FloatArray, IntArray]:
    """Return all points (n, dims) and the image of each (n,)."""
    arrays = [np.asarray(each, float) for each in points]
    filled = [(array, name) for array, name in zip(arrays, names, strict=True) if array.size]
    if wrong := [name for array, name in filled if array.ndim != 2]:
        raise InputError(f"{what}: expected an array (points, dims) for each image, not so {_listed(wrong)}")
    found = {array.shape[1] for array in arrays if array.ndim == 2 and array.shape[1]}
    if len(found) > 1:
        raise InputError(f"{what}: points in {' and '.join(f'{d}D' for d in sorted(found))}; expected one of them")
    dims = found.pop() if found else 0
    stacked = np.concatenate([np.zeros((0, dims)), *(array for array, _ in filled)])
    return stacked, np.repeat(np.arange(len(arrays)), [len(array) if array.size else 0 for array in arrays])


def _per_image(what: str, values: ArrayLike | None, n: int, dims: int, n_points: int) -> FloatArray | None:
    """Return one row for each image."""
    if values is None:
        return None
    array = np.asarray(values, float)
    if array.ndim not in (1, 2) or (array.ndim == 2 and len(array) != n) or (n_points and array.shape[-1] != dims):
        raise InputError(f"{what} of shape {array.shape}: expected ({dims},) or ({n}, {dims})")
    if not ((array > 0) & ((array <= LARGEST) | (what == "shape"))).all():
        raise InputError(f"{what}: expected numbers above 0, at most {LARGEST:g}")
    return np.broadcast_to(array, (n, array.shape[-1]))


def _extents(extents: Sequence[ArrayLike], image: IntArray, dims: int, names: Sequence[str]) -> FloatArray:
    stacked, of_image = _stack("extents", extents, names)
    if len(of_image) and (stacked.shape[1] != dims or not np.array_equal(of_image, image)):
        raise InputError(f"extents of shape {stacked.shape}: expected one for each object, ({len(image)}, {dims})")
    if len(of_image) != len(image):
        raise InputError(f"{len(of_image)} extents for {len(image)} objects: expected one for each")
    if not ((stacked > 0) & (stacked <= LARGEST)).all():
        raise InputError(f"extents: expected numbers above 0, at most {LARGEST:g}")
    return stacked


def _check_points(what: str, points: FloatArray, image: IntArray, truth: Truth) -> None:
    """Refuse coordinates that are not finite, twice in an image, or outside of it."""
    immense = ~(np.abs(points) <= LARGEST).all(1)
    _refuse(f"{what}: coordinates that are NaN, infinite or immense", image[immense], truth)
    order = np.lexsort((*points.T, image))
    twice = order[1:][(np.diff(points[order], axis=0) == 0).all(1) & (np.diff(image[order]) == 0)]
    if len(twice):
        such = f"{_point(points[twice[0]])}; expected each point once"
        _refuse(f"{what}: a point given twice", image[twice], truth, such)
    if truth.shapes is not None and len(points):
        if points.shape[1] != truth.shapes.shape[1]:
            raise InputError(f"{what}: points in {points.shape[1]}D in images of {truth.shapes.shape[1]}D")
        outside = np.flatnonzero(((points < -0.5) | (points > truth.shapes[image] - 0.5)).any(1))
        if len(outside):
            first = outside[0]
            such = (
                f"{_point(points[first])}, where the size is {_point(truth.shapes[image[first]])}; expected indices of"
                " voxels, from 0 to its size - 1, the axes in the order of the sizes"
            )
            _refuse(f"{what}: points outside their image", image[outside], truth, such)


def _point(numbers: FloatArray) -> str:
    """Return coordinates, or sizes of which some may not be known, as text."""
    return f"({', '.join(f'{number:g}' if np.isfinite(number) else 'unknown' for number in numbers)})"


def _refuse(problem: str, images: NDArray[Any], truth: Truth, expected: str = "") -> None:
    """Raise if any image is chosen, by its index or by a boolean for each."""
    chosen = np.unique(np.flatnonzero(images) if images.dtype == bool else images)
    if len(chosen):
        where = _listed([truth.names[i] for i in chosen])
        raise InputError(f"{problem} in {where}" + (f": {expected}" if expected else ""))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"image{'s' if len(names) > 1 else ''} {', '.join(names[:SHOWN])}{more}"
