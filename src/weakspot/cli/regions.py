"""``weakspot regions``."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weakspot.cli.console import Nonfinite

if TYPE_CHECKING:
    from weakspot.data.regions import RegionSettings

Scale = StrEnum("Scale", ["highest", "tissue"])


def regions(
    scan: Annotated[Path, typer.Argument(help="A scan, or a table (CSV or TSV) with id, image, segmentation.")],
    region: Annotated[
        list[str], typer.Option(help="midbrain, hippocampi, basal_ganglia, centrum_semiovale; once for each.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; what is done there is not done again.")],
    segmentation: Annotated[Path | None, typer.Option(help="Of a single scan: FreeSurfer's or SynthSeg's.")] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(
            help="[REGION=]AxBxC voxels or AxBxCmm: left-right, back-front, down-up; the paper's if not given."
        ),
    ] = None,
    smooth_mm: Annotated[float, typer.Option(min=0, max=100, help="Of the mask's edge (standard deviation).")] = 1.0,
    scale: Annotated[
        Scale,
        typer.Option(help="What becomes 1: the volume's highest voxel, or 4 times the median of the region's tissue."),
    ] = Scale.highest,
    points: Annotated[Path | None, typer.Option(help="Points table of the scans, to carry into the volumes.")] = None,
    volume: Annotated[int | None, typer.Option(min=0, help="Which volume of 4D scans, from 0.")] = None,
    nonfinite: Annotated[Nonfinite, typer.Option(help="NaN and infinite voxels.")] = Nonfinite.reject,
    pictures: Annotated[bool, typer.Option(help="Draw each scan with its masks.")] = True,
) -> None:
    """Cut brain regions out of scans, ready to train on: volumes, cohort tables, pictures to check them by.

    A table may have count_REGION and slice_REGION (or count and slice, of a single region), split, subject and others,
    which are kept. Scans that cannot be used are listed at the end, with exit code 1, and stop no other.
    """
    from filelock import FileLock, Timeout

    from weakspot.cli.console import counting_bar, say, warn
    from weakspot.data.cohort import cohort_of_images, read_cohort
    from weakspot.data.problems import refuse
    from weakspot.data.region_files import check_folder, prepare, summary, tasks_of, write_cohorts
    from weakspot.data.region_points import read_region_points, write_region_points
    from weakspot.data.scans import is_scan
    from weakspot.errors import InputError
    from weakspot.report.region_figure import draw_regions

    if is_scan(scan) != (segmentation is not None):
        raise InputError(
            "expected one scan with its --segmentation, or for several a table with id, image, segmentation"
        )
    if segmentation is None:
        cohort = read_cohort(scan, counts=False, files=False)
    else:
        cohort = cohort_of_images([scan])
        cohort.table["segmentation"] = str(segmentation)
    chosen = list(dict.fromkeys(region))
    tasks = tasks_of(cohort, chosen)
    settings = _settings(chosen, size or [], smooth_mm, scale)
    marked = {} if points is None else read_region_points(points, tasks, chosen)
    done: list[Any] = []
    problems: list[str] = []
    fresh = 0
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0), counting_bar("scans", len(tasks)) as advance:
            check_folder(out, chosen)
            for task in tasks:
                try:
                    record, made = prepare(task, out, settings, volume, nonfinite, draw_regions if pictures else None)
                except (InputError, MemoryError) as error:
                    what = f"memory does not hold it ({error})" if isinstance(error, MemoryError) else error
                    problems.append(f"id {task.id}: {what}")
                else:
                    done.append((task, record))
                    fresh += made
                advance()
            if done:
                usable, records = zip(*done, strict=True)
                write_cohorts(out, usable, records, chosen)
                said = summary(usable, records, chosen)
                for line in said + write_region_points(out, marked, usable, records):
                    warn(line)
    except Timeout:
        raise InputError(f"another process writes into {out}: wait for it, or name another folder") from None
    if done:
        before = f" ({len(done) - fresh} were done before)" if fresh < len(done) else ""
        say(f"{len(done)} scans{before}, {len(chosen)} regions: {out}/cohort_{chosen[0]}.csv, {out}/cohort.csv")
    refuse(f"{len(problems)} of {len(tasks)} scans were left out", problems)


def _settings(
    regions: Sequence[str], sizes: Sequence[str], smooth_mm: float, scale: str
) -> "dict[str, RegionSettings]":
    """Read sizes such as "88x88x11", "40x40x9mm" and "midbrain=88x88x11"."""
    import re

    from weakspot.data.regions import RegionSettings
    from weakspot.errors import InputError

    settings = {name: RegionSettings(smooth_mm=smooth_mm, scale=str(scale)) for name in regions}
    for text in sizes:
        named, _, size = text.rpartition("=")
        match = re.fullmatch(r"([\d.]+)x([\d.]+)x([\d.]+)(mm)?", size)
        try:
            parts = tuple(float(part) for part in match.groups()[:3]) if match else ()
        except ValueError:
            parts = ()
        in_mm = bool(match and match[4])
        if len(parts) != 3 or min(parts) <= 0 or (named and named not in regions):
            raise InputError(
                f"--size {text}: expected such as 88x88x11 (voxels), 40x40x9mm, or {regions[0]}=88x88x11, of a --region"
            )
        if not in_mm and any(part != int(part) for part in parts):
            raise InputError(f"--size {text}: voxels are whole; for lengths write {size}mm")
        for name in [named] if named else regions:
            settings[name] = replace(settings[name], size=(parts[0], parts[1], parts[2]), size_in_mm=in_mm)
    return settings
