"""Which slice of a volume is meant (paper 3.7)."""

import math
import sys

from weakspot.errors import InputError


def slice_index(given: float, length: float = math.inf) -> int:
    """Return the slice that is given, the middle one (of n slices n // 2, counted from 0) where it is NaN.

    Parameters
    ----------
    given : a whole number, counted from 0, or NaN
    length : number of slices; infinite where it is not known

    Raises
    ------
    InputError
        There is no such slice, or none is given and the length is not known.

    Examples
    --------
    >>> slice_index(4), slice_index(math.nan, 7)
    (4, 3)
    """
    if math.isnan(given):
        if math.isinf(length):
            raise InputError("no slice is named, and without the number of slices there is no middle one")
        given = length // 2
    if not (0 <= given < min(length, sys.maxsize) and given == given // 1):
        upper = "" if math.isinf(length) else f" to {length - 1:g}"
        raise InputError(f"slice {given:g}: expected a whole number from 0{upper}")
    return int(given)
