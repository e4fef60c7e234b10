"""Images shrunk by whole factors, so that a network sees whole objects; points and maps carried back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakspot.data.formats import Stored
from weakspot.errors import InputError
from weakspot.geometry import FloatArray


def factors_for(shrink: Sequence[int], dims: int) -> tuple[int, ...]:
    """Return (dims,) by how much images of so many dimensions are shrunk along each axis; one factor is of all axes.

    Raises
    ------
    InputError
        Several factors, of another number than the images' dimensions.
    """
    if len(shrink) not in (1, dims):
        raise InputError(
            f"{len(shrink)} factors ({','.join(map(str, shrink))}) to shrink images in {dims}D by: give one, or {dims}"
        )
    return tuple(shrink) * (dims if len(shrink) == 1 else 1)


def check_slices_stay(axis: int, shrink: Sequence[int]) -> None:
    """Refuse a slice across an axis that images are shrunk along, for it would be mixed with others."""
    if shrink[axis] > 1:
        others = ",".join("1" if index == axis else str(factor) for index, factor in enumerate(shrink))
        raise InputError(
            f"--slice-axis {'ijk'[axis]} of images that are shrunk along it, by {','.join(map(str, shrink))}: train "
            f"with --shrink {others}"
        )


def shrunk(image: Stored, shrink: Sequence[int]) -> Stored:
    """Return an image of means over blocks, in its own type (whole numbers are rounded).

    Blocks begin at the first voxel; those at the far end hold what is left, so nothing is cut off.

    Parameters
    ----------
    image : (channels, *spatial), 8 or 16 bit, or float32
    shrink : 1 or more, for all axes or each, see `factors_for`

    Examples
    --------
    >>> shrunk(np.array([[1, 3, 5, 9, 4]], np.uint8), (2,)).tolist()
    [[2, 7, 4]]
    """
    kind, factors = image.dtype, factors_for(shrink, image.ndim - 1)
    if max(factors) == 1:
        return image
    for axis, factor in enumerate(factors, start=1):
        if factor > 1:
            begins = _begins(image.shape[axis], factor)
            voxels = np.diff(begins, append=image.shape[axis])
            sums = np.add.reduceat(image, begins, axis=axis, dtype=np.float64)
            image = sums / voxels.reshape(-1, *(1,) * (image.ndim - 1 - axis))
    return (np.rint(image) if kind.kind in "iu" else image).astype(kind)


def _begins(size: int, factor: int) -> NDArray[np.intp]:
    return np.arange(0, size, min(factor, size))


def carried_back(points: FloatArray, shrink: Sequence[int], shape: Sequence[int]) -> FloatArray:
    """Return the voxel indices (n, dims) in an image of ``shape`` of those in the shrunk one: from centre to centre.

    >>> carried_back(np.array([[0.0], [1.5], [2.0]]), (2,), (5,)).tolist()
    [[0.5], [3.25], [4.0]]
    """
    back = np.array(points, float)
    for axis, factor in enumerate(factors_for(shrink, len(shape))):
        if factor > 1:
            begins = _begins(shape[axis], factor)
            centres = (begins + np.append(begins[1:], shape[axis]) - 1) / 2
            back[:, axis] = np.interp(back[:, axis], np.arange(len(begins)), centres)
    return back


def enlarged(attention: NDArray[Any], shrink: Sequence[int], shape: Sequence[int]) -> NDArray[Any]:
    """Return the map (*shape) of an image from that of the shrunk one: each voxel has the value of its block.

    >>> enlarged(np.array([2, 7, 4]), (2,), (5,)).tolist()
    [2, 2, 7, 7, 4]
    """
    factors = factors_for(shrink, len(shape))
    if max(factors) == 1:
        return attention
    return attention[np.ix_(*(np.arange(size) // factor for size, factor in zip(shape, factors, strict=True)))]
