"""From tables of points to what evaluation takes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from weakspot.data.cohort import Cohort, read_cohort
from weakspot.data.geometry import Geometry, axis_named, geometry_of
from weakspot.data.points import COLUMNS, Points, PointsTable, number, points_of, read_points
from weakspot.data.problems import refuse
from weakspot.data.tables import read_table
from weakspot.errors import InputError
from weakspot.evaluation import (
    Detections,
    Truth,
    detections_in_slices,
    detections_of,
    truth_in_slices,
    truth_of,
)

SHOWN = 10  # ids named of each table


class Scenes(NamedTuple):
    """Several sets of detections and of objects in the same images, and whom these are of where that is known."""

    detections: dict[str, Detections]
    truths: list[Truth]
    subjects: tuple[str, ...] | None


def read_scenes(
    cohort: Path,
    truths: Sequence[Path],
    detections: Mapping[str, Path] | None = None,
    counts: Mapping[str, Path] | None = None,
    *,
    reach: str,
    split: str | None = None,
    where: Sequence[tuple[str, str]] = (),
    region: str | None = None,
    slice_axis: str | None = None,
) -> Scenes:
    """Read the points of the images of a cohort, all tables checked together.

    Parameters
    ----------
    cohort
        Table of the images: ``id``, optional ``subject`` and ``split``, and the geometry of
        `weakspot.data.geometry.geometry_of`.
    truths
        Points tables of the objects, of one or more raters.
    detections
        Points tables with scores, by the method's name.
    counts
        Tables of predicted counts (``id, count``), by the method's name; not every method needs one.
    reach
        As in `weakspot.evaluation.Conventions`: "radius_mm" needs the spacing, "inside" extents.
    split
        Only the images of this split.
    where
        Only the images with these values in these columns of the cohort, such as ``("site", "B")``.
    region
        Only the images and points of this region, where tables have a column ``region``; needed where several are
        named. The annotated slice may then be in the cohort's ``slice_<region>``.
    slice_axis
        Only the points in one slice of each image along this axis, ``i``, ``j``, ``k`` or its number from 0: those
        whose coordinate rounds to it. The slice is the cohort's ``slice``, the middle one where that is empty.

    Raises
    ------
    InputError
        What the tables are refused for; lists the ids of every table that are no images of the cohort.
    """
    detections, counts = detections or {}, counts or {}
    images = read_cohort(cohort, counts=False, images=False)
    named = _regions([*detections.values(), *truths], images, cohort, region)
    found = {name: read_points(path, named[path]) for name, path in detections.items()}
    objects = [read_points(path, named[path]) for path in truths]
    predicted = {name: (path, read_table(path, ("id", "count"))) for name, path in counts.items()}
    ids = {str(table.path): list(table) for table in (*found.values(), *objects)}
    ids |= {str(path): list(table["id"]) for path, table in predicted.values()}
    _refuse_unknown(cohort, images.ids, ids)
    dims = _common_dims([*found.values(), *objects])
    axis = None if slice_axis is None else axis_named(slice_axis, dims)

    known = set(images.ids)
    with _said_of(cohort):
        images = images if region is None else _of_region(images, region)
        images = images if split is None else images.with_split(split)
        for column, value in where:
            images = images.where(column, value)
        geometry = geometry_of(images, dims, spacing=reach == "radius_mm", slice_axis=axis)
    left_out = known - set(images.ids)
    gathered = [_truth(table.without(left_out), images, geometry, reach) for table in objects]
    judged = {}
    for name, table in found.items():
        count = _counts(*predicted[name], images.ids) if name in predicted else None
        with _said_of(table.path):
            points = points_of(table.without(left_out), images.ids, dims)
            judged[name] = make_detections(points, gathered[0], count)
    if axis is not None:
        assert geometry.slices is not None  # it was asked for the axis
        slices = geometry.slices
        judged = {name: detections_in_slices(each, axis, slices) for name, each in judged.items()}
        gathered = [truth_in_slices(each, axis, slices) for each in gathered]
    return Scenes(judged, gathered, images.subjects if "subject" in images.table else None)


def make_scenes(
    detections: Sequence[Points], truth: Sequence[Points], ids: Sequence[str], counts: ArrayLike | None = None
) -> tuple[Detections, Truth]:
    """Put the detections and the objects of all images together, with predicted counts if there are any.

    Raises
    ------
    InputError
        The detections have no scores, only some objects have extents, or what the points are refused for.
    """
    gathered = make_truth(truth, ids)
    return make_detections(detections, gathered, counts), gathered


def make_truth(
    points: Sequence[Points],
    ids: Sequence[str],
    subjects: Sequence[str] | None = None,
    geometry: Geometry | None = None,
) -> Truth:
    """Put the objects of all images together; without any object, every one of them has extents.

    Raises
    ------
    InputError
        Only some objects have extents, or what the points are refused for.
    """
    extents = [objects.coordinates[:0] if objects.extents is None else objects.extents for objects in points]
    having = any(map(len, extents)) or not any(map(len, points))
    return truth_of(
        [each.coordinates for each in points],
        extents=extents if having else None,
        spacing_mm=None if geometry is None else geometry.spacing_mm,
        shapes=None if geometry is None else geometry.sizes,
        subjects=subjects,
        names=ids,
    )


def make_detections(points: Sequence[Points], truth: Truth, counts: ArrayLike | None = None) -> Detections:
    """Put the detections of all images together, with predicted counts if there are any.

    Raises
    ------
    InputError
        The detections have no scores, or what the points are refused for.
    """
    if any(len(found) and found.scores is None for found in points):
        raise InputError("the detections have no column 'score': a FROC curve needs one")
    scores = [np.zeros(0) if found.scores is None else found.scores for found in points]
    return detections_of([each.coordinates for each in points], scores, truth, counts)


def _truth(table: PointsTable, images: Cohort, geometry: Geometry, reach: str) -> Truth:
    with _said_of(table.path):
        if reach == "inside" and table and table.none.extents is None:
            columns = " and ".join(COLUMNS[table.dims]["extents"])
            raise InputError(f"no columns {columns} for a hit to be inside of: add them, or choose a radius")
        return make_truth(points_of(table, images.ids, table.dims), images.ids, images.subjects, geometry)


def _counts(path: Path, table: pd.DataFrame, ids: Sequence[str]) -> list[float]:
    """Return the count of each of ``ids``, or list those that have no row, several, or no finite number."""
    rows: dict[str, list[str]] = {}
    for identifier, text in zip(table["id"], table["count"], strict=True):
        rows.setdefault(identifier, []).append(text)
    texts = [rows.get(identifier, []) for identifier in ids]
    values = [number(cells[0]) if len(cells) == 1 else np.nan for cells in texts]
    refuse(
        f"{path}: expected one finite count for each image of the cohort",
        [
            f"id {identifier}: {f'count {cells[0]!r}' if len(cells) == 1 else f'{len(cells)} rows'}"
            for identifier, cells, value in zip(ids, texts, values, strict=True)
            if not np.isfinite(value)
        ],
    )
    return values


def _refuse_unknown(cohort: Path, known: Sequence[str], tables: Mapping[str, Sequence[str]]) -> None:
    unknown = {path: sorted(set(ids) - set(known)) for path, ids in tables.items()}
    refuse(
        f"ids that are not in {cohort} (it has such as {', '.join(known[:3])}); add them, or leave their rows out",
        [
            f"{path}: {', '.join(ids[:SHOWN])}" + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")
            for path, ids in unknown.items()
            if ids
        ],
    )


def _regions(points: Sequence[Path], images: Cohort, cohort: Path, region: str | None) -> dict[Path, str | None]:
    """Return the region to read of each points table, None for whole ones; refuse several regions in one."""
    tables = {path: read_table(path, ("id",)) for path in points}
    held = {path: set(table.get("region", ())) for path, table in (*tables.items(), (cohort, images.table))}
    known = set[str]().union(*held.values())
    if region is None and len(known) > 1:
        refuse(
            "points and images of several regions: name one of them by --region",
            [f"{path} has {', '.join(sorted(each))}" for path, each in held.items() if each],
        )
    if region is not None and region not in known:
        there = f"; they have {', '.join(sorted(known))}" if known else ": they have no column 'region'"
        raise InputError(f"no table has the region {region!r}{there}")
    return {path: region if held[path] else None for path in points}


def _of_region(images: Cohort, region: str) -> Cohort:
    """Return the images of a region, all of them where the cohort does not say, with the region's own slices."""
    table = images.table
    if "region" in table and not (table := table[table["region"] == region]).size:
        raise InputError(f"no image has the region {region!r}")
    return Cohort(table.rename(columns={} if "slice" in table else {f"slice_{region}": "slice"}), images.folder)


def _common_dims(tables: Sequence[PointsTable]) -> int:
    first = tables[0]
    for table in tables:
        if table.dims != first.dims:
            raise InputError(f"{first.path} is in {first.dims}D, {table.path} in {table.dims}D: expected the same")
    return first.dims


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
