"""Region volumes of a cohort of scans: files, a record for each scan, and the tables to train on."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weakspot.data.checks import MISSING, parse_count
from weakspot.data.cohort import Cohort
from weakspot.data.labels import on_grid_of
from weakspot.data.points import COLUMNS
from weakspot.data.problems import refuse
from weakspot.data.regions import REGIONS, RegionSettings, RegionVolume, extract
from weakspot.data.scans import Scan, mixed_grids, read_labels, read_scan, write_scan
from weakspot.data.tables import read_table, write_table
from weakspot.errors import InputError
from weakspot.files import is_whole, read_record, write_text
from weakspot.settings import to_dict

FORMAT = 3  # of what is written; a change makes everything anew
AXES = COLUMNS[3]["coordinates"]
Record = dict[str, Any]
Picture = Callable[[Path, Scan, Mapping[str, RegionVolume]], None]


@dataclass(frozen=True)
class Task:
    """What to do with one scan.

    Attributes
    ----------
    id, subject : str
    image, segmentation : pathlib.Path
    counts : dict of str
        By region, as the cohort has them; regions without a count are left out.
    slices : dict of int
        The annotated slices by region, where the cohort names any.
    kept : dict of str
        Further columns of the cohort.
    """

    id: str
    subject: str
    image: Path
    segmentation: Path
    counts: Mapping[str, str]
    slices: Mapping[str, int]
    kept: Mapping[str, str]


def tasks_of(cohort: Cohort, regions: Sequence[str]) -> list[Task]:
    """Read a cohort's rows: ``id, image, segmentation``, and optional counts and annotated slices.

    Counts are in ``count_<region>``, slices of the scan in ``slice_<region>`` (from 0, along the axis that goes up);
    where a single region is asked for, ``count`` and ``slice`` do as well. Cells may be empty.

    Raises
    ------
    InputError
        No column ``segmentation``; regions that are not known; ``count`` or ``slice`` for several regions; lists ids
        that are no file names, counts that are no numbers, slices that are no whole ones, rows without a segmentation.
    """
    if unknown := [name for name in regions if name not in REGIONS]:
        raise InputError(f"no region {', '.join(unknown)}: choose of {', '.join(REGIONS)}")
    table = cohort.table
    names = [str(name) for name in table.columns]
    if "segmentation" not in names:
        raise InputError(f"the cohort lacks the column segmentation; its columns are {', '.join(names)}")
    columns: dict[str, dict[str, str]] = {}
    for what in ("count", "slice"):
        named = {name: f"{what}_{name}" for name in regions if f"{what}_{name}" in table}
        if not named and what in table:
            if len(regions) > 1:
                raise InputError(
                    f"whose is the column {what!r}, of {', '.join(regions)}? name it {what}_{regions[0]} and so on"
                )
            named = {regions[0]: what}
        columns[what] = named
    taken = {"id", "image", "segmentation", "subject", "mask", "region", "scan", "count", "slice", "slice_axis"}
    taken |= {f"{part}_{axis}" for part in ("spacing", "size", "start") for axis in AXES}
    kept = [name for name in names if name not in taken and not name.startswith(("count_", "slice_"))]
    tasks, problems = [], []
    for number, subject, (_, row) in zip(table.index, cohort.subjects, table.iterrows(), strict=True):
        wrong = []
        if not row["segmentation"]:
            wrong.append("no segmentation is named")
        if Path(row["id"]).name != row["id"] or row["id"].startswith("."):
            wrong.append("the id cannot be a file's name")
        cells = {
            what: {name: row[column] for name, column in named.items() if row[column].lower() not in MISSING}
            for what, named in columns.items()
        }
        wrong += [
            f"count of {name}: {text!r} is no number of objects"
            for name, text in cells["count"].items()
            if isinstance(parse_count(text), str)
        ]
        wrong += [
            f"slice of {name}: {text!r} is no whole number"
            for name, text in cells["slice"].items()
            if isinstance(index := parse_count(text), str) or not index.is_integer()
        ]
        if wrong:
            problems.append(f"row {number} (id {row['id']}): {'; '.join(wrong)}")
            continue
        files = cohort.folder / row["image"], cohort.folder / row["segmentation"]
        slices = {name: int(float(text)) for name, text in cells["slice"].items()}
        further = {name: row[name] for name in kept}
        tasks.append(Task(row["id"], subject, *files, cells["count"], slices, further))
    refuse("the cohort of scans", problems)
    return tasks


def prepare(
    task: Task,
    out: Path,
    settings: Mapping[str, RegionSettings],
    volume: int | None = None,
    nonfinite: str = "reject",
    picture: Picture | None = None,
) -> tuple[Record, bool]:
    """Cut the regions out of one scan and write them: ``<id>_<region>.nii.gz``, and the record of how they lie.

    What the record says was done before, with the same files and settings, is not done again.

    Parameters
    ----------
    task
        The scan.
    out
        The folder.
    settings
        By region: how to cut it out.
    volume, nonfinite
        As for `weakspot.data.scans.read_scan`.
    picture
        Called with a path, the scan and its volumes, to draw them.

    Returns
    -------
    record, made
        ``record["regions"]`` has by region ``file, start, size, spacing_mm, affine, slice_axis, slice, in_scan, held``;
        ``made`` says whether anything was to be done.

    Raises
    ------
    InputError
        The scan or its segmentation cannot be used.
    """
    described = {
        "format": FORMAT,
        "files": [_digest(path) for path in (task.image, task.segmentation)],
        "settings": {name: to_dict(each) for name, each in settings.items()},
        "slices": {name: task.slices.get(name) for name in settings},
        "volume": volume,
        "nonfinite": nonfinite,
    }
    described = json.loads(json.dumps(described))
    path, drawn = out / "records" / f"{task.id}.json", out / "pictures" / f"{task.id}.png"
    files = {name: f"{task.id}_{name}.nii.gz" for name in settings}
    record: Record | None = read_record(path, "of", "regions")
    written = [*(out / file for file in files.values()), *([drawn] if picture else [])]
    if record and record["of"] == described and all(map(is_whole, written)):
        return record, False
    path.unlink(missing_ok=True)
    scan, segmentation = read_scan(task.image, volume, nonfinite), read_labels(task.segmentation)
    try:
        affine, labels_affine = scan.placed, segmentation.placed
        labels, origin = on_grid_of(segmentation.values, labels_affine, scan.values.shape, affine)
        cut = {
            name: extract(scan.values, affine, labels, name, each, task.slices.get(name), origin)
            for name, each in settings.items()
        }
    except InputError as error:
        raise InputError(f"{task.image} with {task.segmentation}: {error}") from error
    for name, region in cut.items():
        write_scan(out / files[name], region.values, region.affine)
    if picture:
        drawn.parent.mkdir(exist_ok=True)
        picture(drawn, scan, cut)
    record = {
        "of": described,
        "regions": {
            name: {
                "file": files[name],
                "start": region.start.tolist(),
                "size": list(region.values.shape),
                "spacing_mm": scan.spacing_mm.tolist(),
                "affine": region.affine.tolist(),
                "slice_axis": AXES[region.slice_axis],
                "slice": region.slice,
                "in_scan": region.in_scan,
                "held": region.held,
            }
            for name, region in cut.items()
        },
    }
    path.parent.mkdir(exist_ok=True)
    write_text(path, json.dumps(record, indent=1) + "\n", lasting=False)
    return record, True


def check_folder(out: Path, regions: Sequence[str]) -> None:
    """Refuse a folder whose table is of further regions: all would be replaced, and theirs lost."""
    path = out / "cohort.csv"
    if path.exists() and (others := set(read_table(path, ()).get("region", ["no region"])) - set(regions)):
        raise InputError(
            f"{path} is of {', '.join(sorted(others))}, and would be replaced: name that --region too, or another "
            "folder"
        )


def write_cohorts(out: Path, tasks: Sequence[Task], records: Sequence[Record], regions: Sequence[str]) -> None:
    """Write ``cohort.csv``, a row a scan and region, and ``cohort_<region>.csv``, which `weakspot train` takes.

    Beside ``id, image, region, subject, count`` and the kept columns: ``scan``, the scan's id; ``slice``, counted in
    the volume along ``slice_axis``; ``start_i, start_j, start_k``, the scan's index of the volume's first voxel;
    ``spacing_*`` and ``size_*`` as evaluation takes them.
    """
    counted = any(task.counts for task in tasks)
    kept = list(tasks[0].kept)
    header = ["id", "image", "region", "subject", *(["count"] if counted else []), *kept, "scan", "slice", "slice_axis"]
    header += [f"{part}_{axis}" for part in ("start", "size", "spacing") for axis in AXES]
    rows: dict[str, list[list[Any]]] = {name: [] for name in regions}
    for task, record in zip(tasks, records, strict=True):
        for name in regions:
            lies = record["regions"][name]
            row = [volume_id(task, name), lies["file"], name, task.subject]
            row += [task.counts.get(name, "")] if counted else []
            row += [*task.kept.values(), task.id, "" if lies["slice"] is None else lies["slice"], lies["slice_axis"]]
            rows[name].append(row + lies["start"] + lies["size"] + [f"{each:.6g}" for each in lies["spacing_mm"]])
    for name in regions:
        write_table(out / f"cohort_{name}.csv", header, rows[name])
    write_table(out / "cohort.csv", header, [row for name in regions for row in rows[name]])


def summary(tasks: Sequence[Task], records: Sequence[Record], regions: Sequence[str]) -> list[str]:
    """Say what a user should know of a cohort's volumes: grids that differ, regions cut off, counts that lack."""
    mixed = mixed_grids([np.array(record["regions"][regions[0]]["affine"]) for record in records])
    said = [f"the scans differ in {mixed}; volumes stay on the scans' grids"] if mixed else []
    for name in regions:
        lying = [record["regions"][name] for record in records]
        said += _too_little(
            f"{name}: {{}} scans show less than 90 % of the region {{}}; the field of view cuts it off: leave them "
            "out, unless their counts are of what it shows",
            tasks,
            [each["in_scan"] for each in lying],
        )
        said += _too_little(
            f"{name}: {{}} volumes hold less than 90 % of the region {{}}; a larger --size holds more",
            tasks,
            [each["held"] / each["in_scan"] for each in lying],
        )
        uncounted = [task.id for task in tasks if name not in task.counts]
        if uncounted and any(task.counts for task in tasks):
            said.append(
                f"{name}: {len(uncounted)} of {len(tasks)} volumes have no count (such as id {uncounted[0]}), and "
                "train refuses a table with such rows: fill the counts in, or leave out these scans"
            )
    return said


def _too_little(text: str, tasks: Sequence[Task], shares: Sequence[float]) -> list[str]:
    """Return the text, with how many scans have a share below 0.9 and which the least, if any has."""
    number, least = sum(share < 0.9 for share in shares), int(np.argmin(shares))
    worst = f"(id {tasks[least].id}: {100 * shares[least]:.0f} %)"
    return [text.format(f"{number} of {len(shares)}", worst)] if number else []


def volume_id(task: Task, region: str) -> str:
    """Return the id of a region's volume."""
    return f"{task.id}_{region}"


def _digest(path: Path) -> str | None:
    """Return a hash of the file's content; None if it cannot be read, which reading it will tell."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
