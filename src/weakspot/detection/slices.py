"""One slice of a volume, taken before the peaks are sought in it (paper 3.7)."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakspot.errors import InputError
from weakspot.slices import slice_index


def take_slice(volume: NDArray[Any], axis: int, index: float | None = None) -> NDArray[Any]:
    """Return the slice ``index`` along ``axis``, without that axis; the middle one where none is given.

    The middle of n slices is n // 2, counted from 0. Peaks sought in the slice suppress each other in it
    alone, as where only this slice was annotated.

    Parameters
    ----------
    volume : (*spatial)
    axis : the axis to go; may be negative
    index : a whole number, counted from 0; None or NaN for the middle slice

    Raises
    ------
    InputError
        The volume has no such axis or slice.

    Examples
    --------
    >>> take_slice(np.arange(6).reshape(3, 2), axis=0)
    array([2, 3])
    """
    if not -volume.ndim <= axis < volume.ndim:
        raise InputError(f"slice axis {axis}: the map has {volume.ndim} axes")
    chosen = slice_index(math.nan if index is None else index, volume.shape[axis])
    return np.asarray(np.take(volume, chosen, axis))
