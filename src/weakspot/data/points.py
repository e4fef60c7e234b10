"""Points of images: truth and detections, and the tables that hold them."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakspot.data.problems import refuse
from weakspot.data.tables import read_table, write_table
from weakspot.errors import InputError

FloatArray = NDArray[np.float64]


# The columns of a table, by the number of dimensions, in their order; the keys are the fields of Points.
COLUMNS: dict[int, dict[str, tuple[str, ...]]] = {
    2: {"coordinates": ("y", "x"), "scores": ("score",), "extents": ("height", "width")},
    3: {
        "coordinates": ("i", "j", "k"),
        "world_mm": ("x_mm", "y_mm", "z_mm"),
        "scores": ("score",),
        "extents": ("extent_i", "extent_j", "extent_k"),
    },
}


@dataclass(frozen=True, eq=False)
class Points:
    """The points of one image.

    Attributes
    ----------
    coordinates : (n, dims)
        Voxel indices; whole numbers are the centres of voxels.
    scores : (n,) or None
        The higher, the surer.
    extents : (n, dims) or None
        The sizes in voxels of the box, centred on the point, that a hit must fall into.
    world_mm : (n, dims) or None
        The same points in the world's frame (RAS+); NaN for an image that has none.
    """

    coordinates: FloatArray
    scores: FloatArray | None = None
    extents: FloatArray | None = None
    world_mm: FloatArray | None = None

    def __post_init__(self) -> None:
        n, dims = self.coordinates.shape
        for name, shape in (("scores", (n,)), ("extents", (n, dims)), ("world_mm", (n, dims))):
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise ValueError(f"{name} of {n} points in {dims}D must have shape {shape}, not {array.shape}")

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.coordinates)

    def first(self, n: int) -> "Points":
        """Return the first n of them, all if there are fewer."""
        given = {name: part for name, part in vars(self).items() if part is not None}
        return replace(self, **{name: part[: max(n, 0)] for name, part in given.items()})


class PointsTable(dict[str, Points]):
    """The points of a table by their image's id, with what a table tells even without a row.

    Attributes
    ----------
    path : pathlib.Path
    none : Points
        No point, with the dimensions and the columns of the table: what an image without rows has.
    """

    def __init__(self, points: Mapping[str, Points], path: Path, none: Points) -> None:
        super().__init__(points)
        self.path, self.none = path, none

    @property
    def dims(self) -> int:
        """2 or 3, by the columns."""
        return int(self.none.coordinates.shape[1])

    def without(self, ids: Collection[str]) -> "PointsTable":
        """Return the table without the points of these images."""
        return PointsTable({key: each for key, each in self.items() if key not in ids}, self.path, self.none)


def read_points(path: str | Path, region: str | None = None) -> PointsTable:
    """Read a table of points: ``id``, then ``y, x`` (2D) or ``i, j, k`` (3D), as voxel indices.

    Optional: ``score``; ``height, width`` in 2D or ``extent_i, extent_j, extent_k`` in 3D; ``x_mm, y_mm,
    z_mm`` in 3D, empty where an image has no position. Further columns are left out. Images without a point have no
    row, see ``points_of``. With ``region``, only the rows whose column ``region`` is this one.

    Returns
    -------
    PointsTable
        A dict: the points of each id, in the order of the rows. A header without rows is a table without points.

    Raises
    ------
    InputError
        Columns missing, or of 2D and 3D at once; lists every row with a cell that is missing, no number, NaN
        or infinite, or with an extent that is not positive.
    """
    table = read_table(path, ("id",) if region is None else ("id", "region"))
    table = table if region is None else table[table["region"] == region]
    parts = _parts(path, list(table.columns))
    ids = list(table["id"])
    found = [[] if identifier else ["the id is missing"] for identifier in ids]
    arrays: dict[str, FloatArray] = {}
    for part, columns in parts.items():
        arrays[part] = np.array([[number(text) for text in table[column]] for column in columns], float).T
        wrong = ~np.isfinite(arrays[part]) | ((arrays[part] <= 0) & (part == "extents"))
        if part == "world_mm":
            wrong &= (table[list(columns)] != "").to_numpy()
        for place, axis in np.argwhere(wrong):
            text = table[columns[axis]].iat[place]
            found[place].append(
                f"{columns[axis]} is {text!r}, not a {'positive' if part == 'extents' else 'finite'} number"
            )
    rows = zip(table.index, ids, found, strict=True)
    refuse(str(path), [f"row {row} (id {name}): {'; '.join(wrong)}" for row, name, wrong in rows if wrong])

    places: dict[str, list[int]] = {}
    for place, identifier in enumerate(ids):
        places.setdefault(identifier, []).append(place)
    if "scores" in arrays:
        arrays["scores"] = arrays["scores"][:, 0]

    def at(rows: list[int]) -> Points:
        return Points(**{part: array[rows] for part, array in arrays.items()})

    return PointsTable({name: at(own) for name, own in places.items()}, Path(path), at([]))


def write_points(path: str | Path, points: Mapping[str, Points], dims: int) -> None:
    """Write a table of points for ``read_points``, complete or not at all; numbers read back bit for bit.

    Parameters
    ----------
    path
        A ``.csv`` or ``.tsv`` file, replaced if it is there.
    points
        The points of each id; all with scores (extents, world coordinates) or all without.
    dims
        2 or 3: the columns of a table without a single point.
    """
    parts: dict[str, tuple[str, ...]] = {}
    for part, columns in COLUMNS[dims].items():
        having = [getattr(each, part) is not None for each in points.values()]
        if any(having) and not all(having):
            raise ValueError(f"some images have {part}, others none")
        if any(having) or part == "coordinates":
            parts[part] = columns
    rows = (
        [identifier, *row]
        for identifier, each in points.items()
        for row in zip(*(cells for part in parts for cells in _cells(each, part)), strict=True)
    )
    write_table(path, ["id", *(column for columns in parts.values() for column in columns)], rows)


def _cells(points: Points, part: str) -> list[list[str]]:
    """Return the columns of a part, their numbers as text; a point without a place in the world has empty cells."""
    columns = np.atleast_2d(np.asarray(getattr(points, part), np.float64).T).tolist()
    return [["" if part == "world_mm" and math.isnan(value) else repr(value) for value in column] for column in columns]


def points_of(points: Mapping[str, Points], ids: Sequence[str], dims: int) -> tuple[Points, ...]:
    """Return the points of each of ``ids``, in their order; an id without rows has none.

    Parameters
    ----------
    points
        What ``read_points`` returned.
    ids
        The images of a cohort.
    dims
        The dimensions of the images.

    Raises
    ------
    InputError
        Lists the ids that no image has; or the points have other dimensions.
    """
    found = {each.coordinates.shape[1] for each in points.values()}
    if found - {dims}:
        raise InputError(f"the points are in {found.pop()}D, the images in {dims}D")
    known = set(ids)
    problems = [
        f"id {identifier}: has points, but is no image of the cohort"
        for identifier in points
        if identifier not in known
    ]
    refuse("points and cohort do not fit together", problems)
    empty = points.none if isinstance(points, PointsTable) else Points(np.zeros((0, dims)))
    alike = next(iter(points.values()), empty)
    none = Points(
        np.zeros((0, dims)),
        *(None if part is None else part[:0] for part in (alike.scores, alike.extents, alike.world_mm)),
    )
    return tuple(points.get(identifier, none) for identifier in ids)


def _parts(path: str | Path, header: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the parts of `COLUMNS` that the header names, all of each."""
    dims = [dims for dims, parts in COLUMNS.items() if set(parts["coordinates"]) <= set(header)]
    if len(dims) != 1 or (dims == [2] and "z" in header):
        raise InputError(f"{path}: expected the columns id, y, x (2D) or id, i, j, k (3D); found {', '.join(header)}")
    parts = {part: columns for part, columns in COLUMNS[dims[0]].items() if set(columns) & set(header)}
    if missing := [column for columns in parts.values() for column in columns if column not in header]:
        raise InputError(f"{path}: the table lacks {', '.join(missing)}; its columns are {', '.join(header)}")
    return parts


def number(text: str) -> float:
    """Return the number that a cell holds; NaN if it holds none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
