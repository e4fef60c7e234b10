"""``weakspot review``."""

import math
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weakspot.cli.console import Nonfinite
from weakspot.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from weakspot.data.images import Image
    from weakspot.data.points import Points, PointsTable
    from weakspot.geometry import FloatArray
    from weakspot.report.review import Reviewed

# Columns that images.csv has of its own, and one of paths, which led from the cohort's folder.
_REPLACED = ("id", "image", "count", "reviewed", "mask")


def review(
    images: Annotated[list[Path], typer.Argument(help="A cohort table (CSV or TSV), or image files.")],
    out: Annotated[Path, typer.Option(help="Folder to write; open its index.html in a browser.")],
    found: Annotated[
        Path | None,
        typer.Option(help="What weakspot predict wrote, or any table of points; without it images are shown alone."),
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="Points table to draw beside them.")] = None,
    split: Annotated[str | None, typer.Option(help="Only the rows of this split: train, val, test.")] = None,
    slice_axis: Annotated[
        str | None,
        typer.Option(
            help="Show slices across i, j or k (or 0, 1, 2), first the table's slice; unless given, as peaks were "
            "sought, or across the axis of thick slices, or the one that goes up."
        ),
    ] = None,
    volume: Annotated[int | None, typer.Option(min=0, help="Which volume of 4D scans, from 0.")] = None,
    nonfinite: Annotated[Nonfinite, typer.Option(help="NaN and infinite voxels of scans.")] = Nonfinite.reject,
) -> None:
    """Write a page to look through images in a browser, and to mark what is there.

    Detections that were counted stand as objects, fainter ones are candidates. A click keeps or rejects one, adds a
    point or removes it. The page saves points.csv, which evaluate takes as the truth, and images.csv, the images with
    their counts. It needs no network, and the browser keeps what was marked.
    Images that cannot be read do not stop the others: they are listed at the end, with exit code 1.
    """
    from weakspot.cli.console import counting_bar, new_folder, say
    from weakspot.cli.seeking import cohort_of
    from weakspot.data.geometry import axis_named, stated_slices
    from weakspot.data.images import read_placed
    from weakspot.data.points import points_of, read_points
    from weakspot.data.problems import refuse
    from weakspot.report.review import add_image, scale_of, write_page

    whole = cohort_of(images)
    cohort = whole if split is None else whole.with_split(split)
    known = _Found() if found is None else _found_in(found)
    reference = None if truth is None else read_points(truth)
    tables = [table for table in (known.points, reference) if table is not None]
    dims = tables[0].dims if tables else None
    if len(tables) == 2 and tables[1].dims != dims:
        raise InputError(f"{tables[0].path} is in {dims}D, {truth} in {tables[1].dims}D: expected the same")
    others = set(whole.ids) - set(cohort.ids)
    for table in tables:
        points_of(table.without(others), cohort.ids, table.dims)
    axis = known.slice_axis if slice_axis is None else axis_named(slice_axis, dims or 3)
    starts = dict.fromkeys(cohort.ids, math.nan)
    if axis is not None:
        starts = dict(zip(cohort.ids, stated_slices(cohort, axis).tolist(), strict=True))
    kept = [name for name in whole.table.columns if name not in _REPLACED]
    cells = zip(whole.ids, whole.paths, whole.table[kept].to_numpy(str).tolist(), strict=True)
    rows = {name: (str(path.absolute()), *row) for name, path, row in cells}

    problems: dict[str, str] = {}
    pages = []
    with new_folder(out) as draft:
        maps = {name: path for name in cohort.ids if (path := _map_of(known.maps, name)) is not None}
        highest: list[float] = []
        with counting_bar("maps", len(maps)) if maps else nullcontext(lambda: None) as advance:
            for name, path in maps.items():
                try:
                    highest.append(float(_read_map(path).max()))
                except InputError as error:
                    problems[name] = str(error)
                advance()
        with counting_bar("images", len(cohort)) as advance:
            for number, (name, path) in enumerate(zip(cohort.ids, cohort.paths, strict=True)):
                try:
                    if name in problems:
                        continue
                    image = read_placed(path, volume, str(nonfinite))
                    dims = dims or image.stored.ndim - 1
                    shown = _reviewed(name, path, image, dims, known, reference, axis, starts[name], rows[name])
                    pages.append(add_image(draft, number, shown, scale_of(highest), axis))
                except InputError as error:
                    problems[name] = str(error)
                finally:
                    advance()
        if pages:
            on_page = {page["id"] for page in pages}
            left = [(name, *row) for name, row in rows.items() if name not in on_page]
            write_page(draft, out.absolute().name, pages, dims or 2, ("image", *kept), left, known.scored)
    if pages:
        say(f"{len(pages)} images: open {out}/index.html in a browser")
    left_out = [f"id {name}: {problems[name]}" for name in cohort.ids if name in problems]
    refuse(f"{len(problems)} of {len(cohort)} images were left out", left_out)


def _reviewed(
    name: str,
    path: Path,
    image: "Image",
    dims: int,
    known: "_Found",
    reference: "PointsTable | None",
    axis: int | None,
    start: float,
    row: tuple[str, ...],
) -> "Reviewed":
    """Return an image with what is known of it, or refuse what does not fit together."""
    from weakspot.data.images import scaled
    from weakspot.report.review import Reviewed
    from weakspot.slices import slice_index

    shape = image.stored.shape[1:]
    if len(shape) != dims:
        raise InputError(f"{path} is in {len(shape)}D, and the page, by points or its first image, in {dims}D")
    if axis is not None and dims == 2:
        raise InputError(f"{path} is in 2D: leave --slice-axis out")
    for table in (known.points, reference):
        if table is not None:
            _refuse_outside(table.get(name, table.none).coordinates, shape, table.path)
    map_path = _map_of(known.maps, name)
    attention = None if map_path is None else _read_map(map_path)
    if attention is not None and attention.shape != shape:
        raise InputError(f"{map_path} is of {attention.shape}, its image of {shape}: predict it again")
    return Reviewed(
        name,
        scaled(image.stored),
        image.affine,
        known.of(name, dims),
        kept=known.kept_of(name),
        counted=known.counts.get(name, "nothing") if known.counts else None,
        reference=None if reference is None else reference.get(name, reference.none),
        attention=attention,
        start=None if axis is None else slice_index(start, shape[axis]),
        row=row,
    )


@dataclass(frozen=True)
class _Found:
    """What was found: candidates, how many of each image were counted, counts, the folder of maps, the slices' axis."""

    points: "PointsTable | None" = None
    counted: "Mapping[str, int]" = field(default_factory=dict)
    counts: "Mapping[str, str]" = field(default_factory=dict)
    maps: Path | None = None
    slice_axis: int | None = None

    @property
    def scored(self) -> bool:
        """Whether points are candidates, some of which are not objects."""
        return self.points is not None and self.points.none.scores is not None

    def of(self, name: str, dims: int) -> "Points":
        """Return the points of an image, the best first."""
        import numpy as np

        from weakspot.data.points import Points

        if self.points is None:
            return Points(np.zeros((0, dims)))
        own = self.points.get(name, self.points.none)
        if own.scores is None:
            return Points(own.coordinates)
        order = np.argsort(-own.scores, kind="stable")
        return Points(own.coordinates[order], own.scores[order])

    def kept_of(self, name: str) -> int:
        """Return how many of these stand as objects: those that were counted, and points without scores."""
        if self.points is None or self.scored:
            return self.counted.get(name, 0)
        return len(self.points.get(name, self.points.none))


def _found_in(path: Path) -> _Found:
    """Read the folder of predict, or a table of points."""
    from weakspot.data.points import read_points
    from weakspot.data.tables import read_table
    from weakspot.files import read_record

    if not path.is_dir():
        return _Found(read_points(path))
    counts = read_table(path / "counts.csv", ("id", "count"))
    counted = path / "counted.csv"
    return _Found(
        read_points(path / "detections.csv"),
        {name: len(points) for name, points in read_points(counted).items()} if counted.exists() else {},
        dict(zip(counts["id"], counts["count"], strict=True)),
        path / "maps",
        (read_record(path / "predict.json") or {}).get("slice_axis"),
    )


def _map_of(folder: Path | None, name: str) -> Path | None:
    """Return the file of an image's map, if it was kept."""
    files = [] if folder is None else [folder / f"{name}{end}" for end in (".npy", ".nii.gz")]
    return next((path for path in files if path.exists()), None)


def _read_map(path: Path) -> "NDArray[np.float32]":
    import numpy as np

    from weakspot.data.problems import reading
    from weakspot.data.scans import is_scan, read_scan

    if is_scan(path):
        return read_scan(path).values
    with reading(path):
        attention = np.asarray(np.load(path, allow_pickle=False), np.float32)
        if not (attention.size and np.isfinite(attention).all()):
            raise InputError("a map without voxels, or with some that are NaN or infinite: predict it again")
    return attention


def _refuse_outside(points: "FloatArray", shape: tuple[int, ...], table: Path) -> None:
    """Refuse points that lie outside of their image: they are those of another, or in another order of axes."""
    import numpy as np

    if (outside := np.any((points < -0.5) | (points > np.subtract(shape, 0.5)), axis=1)).any():
        first = points[outside][0].tolist()
        raise InputError(f"{outside.sum()} points of {table} are outside of it, such as {first}; it has {shape} voxels")
