"""What a cohort table says of its images' geometry: spacing, size, and the slice that was annotated."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakspot.data.checks import MISSING
from weakspot.data.cohort import Cohort
from weakspot.data.points import COLUMNS, number
from weakspot.data.problems import refuse
from weakspot.errors import InputError
from weakspot.slices import slice_index

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Geometry:
    """The geometry of each image; None for what was not asked for, or has no column.

    Attributes
    ----------
    spacing_mm : (images, dims) or None
        Distance of the centres of neighbouring voxels along each axis.
    sizes : (images, dims) or None
        In voxels; infinite where not known.
    slices : (images,) or None
        The annotated slice, counted from 0; the middle one where none is named.
    """

    spacing_mm: FloatArray | None
    sizes: FloatArray | None
    slices: NDArray[np.intp] | None


def geometry_of(cohort: Cohort, dims: int, *, spacing: bool = False, slice_axis: int | None = None) -> Geometry:
    """Read a cohort's columns of geometry: in 2D ``spacing_y, spacing_x, size_y, size_x``, in 3D those of i, j, k.

    Sizes are read if there are any; an empty one is not known. What is not asked for is not looked at: it may be
    missing, or half filled in.

    Parameters
    ----------
    cohort
        What ``read_cohort`` returned.
    dims
        2 or 3.
    spacing
        Whether the spacing is needed.
    slice_axis
        The axis along which one slice of each image is meant, from 0: the column ``slice``. Where it is empty,
        the size along this axis is needed, to find the middle one; the other axes' may be missing.

    Raises
    ------
    InputError
        Columns missing, or of another number of dimensions; lists every row with a spacing that is no finite
        number above 0, a size that is no whole number above 0, a slice that the image does not have, or that is
        across another axis by the column ``slice_axis``.
    """
    found: list[list[str]] = [[] for _ in range(len(cohort))]
    spacing_mm = _spacing(cohort, dims, found) if spacing else None
    sizes = _sizes(cohort, dims, slice_axis, found)
    slices = None if slice_axis is None else _slices(cohort, dims, slice_axis, sizes, found)
    rows = zip(cohort.table.index, cohort.ids, found, strict=True)
    refuse("the images' geometry", [f"row {row} (id {name}): {'; '.join(wrong)}" for row, name, wrong in rows if wrong])
    return Geometry(spacing_mm, sizes, slices)


def axis_named(text: str, dims: int) -> int:
    """Return the axis across slices that is named i, j or k, or by its number; refuse others, and images in 2D."""
    axes = COLUMNS[dims]["coordinates"]
    if dims != 3:
        raise InputError(f"a slice along the axis {text}: that takes volumes, and the points are in {dims}D")
    named = {**{axis: place for place, axis in enumerate(axes)}, **{str(place): place for place in range(dims)}}
    if text not in named:
        raise InputError(f"slice axis {text!r}: expected {', '.join(axes)} or its number, 0 to {dims - 1}")
    return named[text]


def names_slices(cohort: Cohort) -> bool:
    """Return whether the column ``slice`` of a table names any."""
    return any(text.lower() not in MISSING for text in cohort.table.get("slice", ()))


def stated_slices(cohort: Cohort, axis: int) -> FloatArray:
    """Return (images,) the numbers in the column ``slice`` across an axis, NaN where it is empty or missing.

    Raises
    ------
    InputError
        Lists every row with something else, or with another axis in the column ``slice_axis``.
    """
    refuse_other_axes(cohort, axis)
    texts = list(cohort.table["slice"]) if "slice" in cohort.table else [""] * len(cohort)
    rows = zip(cohort.table.index, cohort.ids, texts, strict=True)
    wrong = [(row, name, text) for row, name, text in rows if text.lower() not in MISSING and np.isnan(number(text))]
    refuse("the column slice", [f"row {row} (id {name}): {text!r} is no number" for row, name, text in wrong])
    return np.array([number(text) for text in texts])


def refuse_other_axes(cohort: Cohort, axis: int) -> None:
    """Refuse a cohort whose column ``slice_axis``, if there is one, names another axis than this in some rows."""
    texts = list(cohort.table["slice_axis"]) if "slice_axis" in cohort.table else [""] * len(cohort)
    refuse(
        f"slices across {COLUMNS[3]['coordinates'][axis]} were asked for; take rows with other slices apart",
        [
            f"row {row} (id {name}): its slice is across {text}"
            for row, name, text in zip(cohort.table.index, cohort.ids, texts, strict=True)
            if text.lower() not in MISSING and axis_named(text, 3) != axis
        ],
    )


def _spacing(cohort: Cohort, dims: int, found: list[list[str]]) -> FloatArray:
    """Return (images, dims) numbers above 0; what is wrong goes to ``found``, a list an image."""
    return np.stack([_positive(cohort, name, found) for name in _columns(cohort, "spacing", "mm", dims)], axis=1)


def _sizes(cohort: Cohort, dims: int, slice_axis: int | None, found: list[list[str]]) -> FloatArray | None:
    """Return (images, dims) whole numbers above 0, infinite where not known; None without a column."""
    there = {
        name for parts in COLUMNS.values() for axis in parts["coordinates"] if (name := f"size_{axis}") in cohort.table
    }
    if not there:
        return None
    own = [f"size_{axis}" for axis in COLUMNS[dims]["coordinates"]]
    if slice_axis is None or there != {own[slice_axis]}:
        _columns(cohort, "size", "voxels", dims)
    unknown = np.full(len(cohort), np.inf)
    return np.stack([_positive(cohort, name, found, whole=True) if name in there else unknown for name in own], axis=1)


def _columns(cohort: Cohort, part: str, unit: str, dims: int) -> list[str]:
    """Return the names of a part's columns, or refuse a table that lacks some."""
    columns = [f"{part}_{axis}" for axis in COLUMNS[dims]["coordinates"]]
    if missing := [name for name in columns if name not in cohort.table]:
        raise InputError(
            f"the cohort lacks the columns {', '.join(missing)} ({part} of images in {dims}D, in {unit}): add them"
        )
    return columns


def _positive(cohort: Cohort, column: str, found: list[list[str]], *, whole: bool = False) -> FloatArray:
    """Return (images,) numbers above 0; if they are to be ``whole``, a cell may be empty, and is infinite."""
    values = [number(text) for text in cohort.table[column]]
    for place, text in enumerate(cohort.table[column]):
        if whole and text.lower() in MISSING:
            values[place] = np.inf
        elif not 0 < values[place] < np.inf or (whole and not values[place].is_integer()):
            found[place].append(f"{column} is {text!r}, not a {'whole' if whole else 'finite'} number above 0")
    return np.array(values, float)


def _slices(cohort: Cohort, dims: int, axis: int, sizes: FloatArray | None, found: list[list[str]]) -> NDArray[np.intp]:
    """Return (images,) the slice of each; what is wrong goes to ``found``, a list an image."""
    refuse_other_axes(cohort, axis)
    texts = list(cohort.table["slice"]) if "slice" in cohort.table else [""] * len(cohort)
    empty = [text.lower() in MISSING for text in texts]
    size = f"size_{COLUMNS[dims]['coordinates'][axis]}"
    if any(empty) and size not in cohort.table:
        raise InputError(
            f"{sum(empty)} of {len(empty)} images name no slice, and there is no column {size} (voxels) to find the"
            f" middle one: add it, or fill in the column 'slice'"
        )
    lengths = np.full(len(texts), np.inf) if sizes is None else sizes[:, axis]
    chosen = np.zeros(len(texts), np.intp)
    for place, (text, length) in enumerate(zip(texts, lengths.tolist(), strict=True)):
        given = number(text)
        if np.isnan(given) and not empty[place]:
            found[place].append(f"slice is {text!r}, not a number, nor empty (the middle one)")
        elif length >= 1:  # beside a size that is wrong itself, nothing can be said of the slice
            try:
                chosen[place] = slice_index(given, length)
            except InputError as error:
                found[place].append(str(error))
    return chosen
