"""What a cohort table says of its images' geometry: spacing, size, and the slice that was annotated."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakspot.data.checks import MISSING
from weakspot.data.cohort import Cohort
from weakspot.data.points import COLUMNS, number
from weakspot.data.problems import refuse
from weakspot.errors import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Geometry:
    """The geometry of each image; None for what was not asked for, or is not known.

    Attributes
    ----------
    spacing_mm : (images, dims) or None
        Distance of the centres of neighbouring voxels along each axis.
    sizes : (images, dims) or None
        In voxels.
    slices : (images,) or None
        The annotated slice, counted from 0; NaN where none is named.
    """

    spacing_mm: FloatArray | None
    sizes: FloatArray | None
    slices: FloatArray | None


def geometry_of(cohort: Cohort, dims: int, *, spacing: bool = False, slice_axis: int | None = None) -> Geometry:
    """Read a cohort's columns of geometry: in 2D ``spacing_y, spacing_x, size_y, size_x``, in 3D those of i, j, k.

    Sizes are read if there are any. What is not asked for is not looked at: it may be missing, or half filled in.

    Parameters
    ----------
    cohort
        What ``read_cohort`` returned.
    dims
        2 or 3.
    spacing
        Whether the spacing is needed.
    slice_axis
        The axis along which one slice of each image is meant, from 0; given, the sizes are needed, and the
        column ``slice`` is read if it is there.

    Raises
    ------
    InputError
        Columns missing, or of another number of dimensions; lists every row with a spacing that is no finite
        number above 0, a size that is no whole number above 0, or a slice that the image does not have.
    """
    found: list[list[str]] = [[] for _ in range(len(cohort))]
    sized = slice_axis is not None or any(
        f"size_{axis}" in cohort.table for parts in COLUMNS.values() for axis in parts["coordinates"]
    )
    spacing_mm = _positive(cohort, "spacing", "mm", dims, found) if spacing else None
    sizes = _positive(cohort, "size", "voxels", dims, found) if sized else None
    slices = None if slice_axis is None or sizes is None else _slices(cohort, sizes[:, slice_axis], found)
    rows = zip(cohort.table.index, cohort.ids, found, strict=True)
    refuse("the images' geometry", [f"row {row} (id {name}): {'; '.join(wrong)}" for row, name, wrong in rows if wrong])
    return Geometry(spacing_mm, sizes, slices)


def _positive(cohort: Cohort, part: str, unit: str, dims: int, found: list[list[str]]) -> FloatArray:
    """Return (images, dims) numbers above 0, whole ones of voxels; what is wrong goes to ``found``, a list an image."""
    columns = [f"{part}_{axis}" for axis in COLUMNS[dims]["coordinates"]]
    if missing := [name for name in columns if name not in cohort.table]:
        raise InputError(
            f"the cohort lacks the columns {', '.join(missing)} ({part} of images in {dims}D, in {unit});"
            f" its columns are {', '.join(map(str, cohort.table))}"
        )
    values = np.array([[number(text) for text in cohort.table[name]] for name in columns], float).T
    right = np.isfinite(values) & (values > 0)
    if unit == "voxels":
        right &= values == np.floor(values)
    for place, axis in np.argwhere(~right):
        kind = "a whole" if unit == "voxels" else "a finite"
        found[place].append(f"{columns[axis]} is {cohort.table[columns[axis]].iat[place]!r}, not {kind} number above 0")
    return values


def _slices(cohort: Cohort, lengths: FloatArray, found: list[list[str]]) -> FloatArray:
    """Return (images,) whole numbers below ``lengths``, or NaN; what is wrong goes to ``found``, a list an image."""
    texts = list(cohort.table["slice"]) if "slice" in cohort.table else [""] * len(cohort)
    values = np.array([number(text) for text in texts])
    for text, value, length, problems in zip(texts, values, lengths, found, strict=True):
        # Beside a size that is wrong itself, nothing can be said of the slice.
        if text.lower() not in MISSING and length >= 1 and not (0 <= value < length and value.is_integer()):
            problems.append(
                f"slice is {text!r}, not a whole number from 0 to {length - 1:g}, nor empty (the middle one)"
            )
    return values
