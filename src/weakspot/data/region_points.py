"""Points of scans, carried into their region volumes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from weakspot.data.points import COLUMNS, Points, PointsTable, read_points, write_points
from weakspot.data.problems import refuse
from weakspot.data.region_files import Record, Task, volume_id
from weakspot.data.regions import REGIONS
from weakspot.data.tables import read_table
from weakspot.errors import InputError
from weakspot.geometry import to_world


def read_region_points(source: Path, tasks: Sequence[Task], regions: Sequence[str]) -> dict[str, PointsTable]:
    """Read the points of scans, by region: a table in voxel indices, whose column ``region`` says whose each is.

    Raises
    ------
    InputError
        Several regions, and no such column; lists regions that are not known, and ids that no scan has.
    """
    table = read_table(source, ("id", *COLUMNS[3]["coordinates"]))
    by_region = "region" in table
    if not by_region and len(regions) > 1:
        raise InputError(f"{source}: whose are the points, of {', '.join(regions)}? add a column 'region'")
    strange = sorted(set(table.get("region", ())) - {*REGIONS})
    wrong = [f"no region {name!r}: expected of {', '.join(REGIONS)}" for name in strange]
    tables = {name: read_points(source, name if by_region else None) for name in regions}
    unknown = {name for each in tables.values() for name in each} - {task.id for task in tasks}
    wrong += [f"id {name}: no scan of the cohort, which has such as {tasks[0].id}" for name in sorted(unknown)]
    refuse(f"{source}: mend these rows, or leave them out", wrong)
    return tables


def write_region_points(
    out: Path, points: dict[str, PointsTable], tasks: Sequence[Task], records: Sequence[Record]
) -> list[str]:
    """Carry points from scans into the region volumes: ``points_<region>.csv``; those of other scans are left out.

    Parameters
    ----------
    out
        The folder.
    points
        What `read_region_points` returned.
    tasks, records
        As for `weakspot.data.region_files.write_cohorts`.

    Returns
    -------
    list of str
        What is to be told: points that lie in no volume, and are left out.
    """
    said = []
    for name, table in points.items():
        moved, lost = {}, 0
        for task, record in zip(tasks, records, strict=True):
            if task.id not in table:
                continue
            lies = record["regions"][name]
            inside = table[task.id].coordinates - np.array(lies["start"])
            held = ((inside > -0.5) & (inside < np.array(lies["size"]) - 0.5)).all(axis=1)
            lost += int(np.count_nonzero(~held))
            inside = inside[held]
            moved[volume_id(task, name)] = Points(inside, world_mm=to_world(inside, np.array(lies["affine"])))
        write_points(out / f"points_{name}.csv", moved, 3)
        if lost:
            said.append(f"{name}: {lost} points lie outside of the volumes, and are left out")
    return said
