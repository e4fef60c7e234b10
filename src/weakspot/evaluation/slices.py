"""Evaluation in one slice of each volume, where only that one was annotated (paper 3.7)."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weakspot.errors import InputError
from weakspot.evaluation.scene import Detections, FloatArray, IntArray, Truth
from weakspot.slices import slice_index


def chosen_slices(slices: ArrayLike, lengths: ArrayLike) -> IntArray:
    """Return the slice of each volume (images,), see `weakspot.slices.slice_index`.

    Parameters
    ----------
    slices : (images,) whole numbers, counted from 0, or NaN for the middle one
    lengths : (images,) number of slices; infinite where it is not known

    Raises
    ------
    InputError
        For the first slice that is not there.

    Examples
    --------
    >>> chosen_slices([4, np.nan], [10, 7])
    array([4, 3])
    """
    given, sizes = (each.tolist() for each in np.broadcast_arrays(slices, np.asarray(lengths, float)))
    chosen = []
    for image, (one, length) in enumerate(zip(given, sizes, strict=True)):
        try:
            chosen.append(slice_index(one, length))
        except InputError as error:
            raise InputError(f"image number {image}: {error}") from error
    return np.array(chosen, np.intp)


def truth_in_slices(truth: Truth, axis: int, slices: IntArray) -> Truth:
    """Return the objects in one slice of each volume, without the axis across the slices.

    A point lies in the slice that its coordinate is nearest to (a half goes up).

    Parameters
    ----------
    truth : of volumes
    axis : across the slices; may be negative
    slices : (images,) of `chosen_slices`
    """
    inside, across = _inside(truth.points, truth.image, axis, slices)
    return replace(
        truth,
        points=np.delete(truth.points[inside], across, 1),
        image=truth.image[inside],
        extents=None if truth.extents is None else np.delete(truth.extents[inside], across, 1),
        spacing_mm=None if truth.spacing_mm is None else np.delete(truth.spacing_mm, axis, 1),
        shapes=None if truth.shapes is None else np.delete(truth.shapes, axis, 1),
        slice_axis=axis,
    )


def detections_in_slices(detections: Detections, axis: int, slices: IntArray) -> Detections:
    """Return the detections in one slice of each volume, as `truth_in_slices` does.

    For detections that come as points of volumes: what is left out, nothing here suppresses or restores. Where
    there are maps, seek the peaks in the slice of each map instead (`weakspot.detection.take_slice`): of peaks
    sought in the volume, those that a neighbouring slice's peak suppresses are lost.
    """
    inside, across = _inside(detections.points, detections.image, axis, slices)
    points = np.delete(detections.points[inside], across, 1)
    return replace(detections, points=points, image=detections.image[inside], scores=detections.scores[inside])


def _inside(points: FloatArray, image: IntArray, axis: int, slices: IntArray) -> tuple[NDArray[np.bool_], list[int]]:
    """Return which points lie in their slice, and the axis to go: none where not a point tells the dimensions."""
    dims = points.shape[1]
    if not dims:
        return np.zeros(0, bool), []
    if not -dims <= axis < dims:
        raise InputError(f"slice axis {axis}: the points are in {dims}D")
    return np.floor(points[:, axis] + 0.5) == slices[image], [axis]
