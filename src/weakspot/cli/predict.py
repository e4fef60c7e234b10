"""``weakspot predict``."""

from collections import Counter, deque
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weakspot.cli.console import Nonfinite, in_voxels

if TYPE_CHECKING:
    from weakspot.geometry import FloatArray
    from weakspot.predict_files import File, FileSettings, FoundInFile
    from weakspot.training.run import Run

Score = StrEnum("Score", ["height", "mass", "prominence"])


def predict(
    run: Annotated[Path, typer.Argument(help="Run folder of weakspot train.")],
    images: Annotated[list[Path], typer.Argument(help="A cohort table (CSV or TSV), or image files.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    method: Annotated[
        str | None,
        typer.Option(help="cam, gated, grad_cam, grad, guided_backprop, intensity; the network's own unless given."),
    ] = None,
    score: Annotated[
        Score,
        typer.Option(
            help="height: the map at the peak; mass: its share of the count; prominence: its height above the saddle "
            "to a higher peak."
        ),
    ] = Score.height,
    size: Annotated[int | None, typer.Option(min=1, help="Voxels of the maximum filter; 6 unless given.")] = None,
    size_mm: Annotated[
        float | None,
        typer.Option(help="The same in mm, by each scan's spacing (of 2D images, the table's spacing_y, spacing_x)."),
    ] = None,
    smooth: Annotated[
        float,
        typer.Option(
            help="Smooth maps, signed, before peaks are sought: standard deviation of a Gaussian in voxels (mm with "
            "--size-mm), a fifth to a third of the size of objects many voxels wide; for cam, gated and grad_cam."
        ),
    ] = 0.0,
    slice_axis: Annotated[
        str | None,
        typer.Option(
            help="Seek only in the table's slice across i, j or k (or 0, 1, 2), the middle one where that is empty."
        ),
    ] = None,
    centre: Annotated[
        bool | None,
        typer.Option(help="Move maps back by how far train found that they lie off; done unless not known."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only the rows of this split: train, val, test.")] = None,
    maps: Annotated[
        bool, typer.Option("--maps", help="Write the attention maps too: .nii.gz of scans, .npy of 2D images.")
    ] = False,
    volume: Annotated[int | None, typer.Option(min=0, help="Which volume of 4D scans, from 0.")] = None,
    nonfinite: Annotated[Nonfinite, typer.Option(help="NaN and infinite voxels of scans.")] = Nonfinite.reject,
    tile: Annotated[
        str,
        typer.Option(help="Large images in tiles of so many voxels, such as 96 or 96,96,64; auto: as memory needs."),
    ] = "auto",
    memory_gb: Annotated[
        float | None,
        typer.Option(min=0.001, help="Memory for one image under --tile auto; what is available unless given."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help="Images at once, each in a process of its own, with the extra cluster; 0: in this one."
        ),
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, tcp://host:8786.")] = None,
    scheduler_file: Annotated[Path | None, typer.Option(help="The file that a Dask scheduler wrote.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads, of each worker; all cores unless given.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
) -> None:
    """Find the objects of new images: detections.csv, counts.csv, and counted.csv.

    Points are voxel indices of the image as it is stored; of scans, world mm (RAS+) too.
    counted.csv holds as many of the best detections of an image as it has objects by the predicted count, which under
    --slice-axis is to be that of a slice. It is not written under classification, where the count is a probability.
    Images that cannot be read do not stop the others: they are listed at the end, with exit code 1.
    """
    import numpy as np

    import weakspot
    from weakspot.cli.console import counting_bar, new_folder, say, warn, write_json
    from weakspot.data.cohort import cohort_of_images, read_cohort
    from weakspot.data.geometry import axis_named, geometry_of, stated_slices
    from weakspot.data.points import Points, write_points
    from weakspot.data.problems import refuse
    from weakspot.data.scans import mixed_grids, write_scan
    from weakspot.data.tables import write_table
    from weakspot.detection.peaks import SIZE_VOX
    from weakspot.devices import choose_device, cores, use_cpu
    from weakspot.errors import InputError
    from weakspot.evaluation.operating_point import whole_counts
    from weakspot.geometry import to_world
    from weakspot.predict import choose_method
    from weakspot.predict_files import File, FileSettings
    from weakspot.training.run import load

    sizes = _sizes(tile)
    if size is not None and size_mm is not None:
        raise InputError("--size is in voxels, --size-mm in mm: give one of them")
    if size_mm is not None and not 0 < size_mm < np.inf:
        raise InputError(f"--size-mm {size_mm}: expected a size above 0")
    if not 0 <= smooth < np.inf:
        raise InputError(f"--smooth {smooth}: expected 0 or more")
    if workers and (scheduler or scheduler_file):
        raise InputError("--workers are started on this machine; with a scheduler, start workers there")
    use_cpu(threads, keep_memory=False)
    chosen, trained = choose_device(device), load(run)
    used, dims = choose_method(trained, method), trained.architecture.dims
    if isinstance(sizes, tuple) and len(sizes) != dims:
        raise InputError(f"--tile {tile}: the network is of {dims}D images; give one size, or {dims}")
    tables = [path for path in images if path.suffix.lower() in (".csv", ".tsv")]
    if tables and len(images) > 1:
        raise InputError(f"{tables[0]} is a table, and {len(images)} files were given: give one table, or image files")
    cohort = read_cohort(images[0], counts=False, files=False) if tables else cohort_of_images(images)
    if split is not None:
        cohort = cohort.with_split(split)
    if maps:
        refuse(
            "ids that cannot name a map's file, for a slash or backslash in them; rename them, or leave --maps out",
            [f"id {name}" for name in cohort.ids if {"/", "\\"} & set(name)],
        )
    # Scans say their spacing themselves.
    stated = geometry_of(cohort, dims, spacing=True).spacing_mm if size_mm is not None and dims == 2 else None
    axis = None if slice_axis is None else axis_named(slice_axis, dims)
    within = stated_slices(cohort, axis).tolist() if axis is not None else [np.nan] * len(cohort)
    files = [
        File(name, path.absolute(), None if stated is None else tuple(stated[index].tolist()), within[index])
        for index, (name, path) in enumerate(zip(cohort.ids, cohort.paths, strict=True))
    ]
    known = trained.displaced_vox if used == choose_method(trained) else None
    if centre and known is None:
        raise InputError(
            f"how far the {used} maps of {run} lie off is not known: training with flips tells it of the network's "
            "own method, if maps of mirrored images are alike; leave --centre out, or train again if the run is old"
        )
    displaced = None if centre is False else known
    if displaced is not None and np.rint(displaced).any():
        say(f"maps lie {in_voxels(displaced)} voxels off, and are moved back (--no-centre)")
    settings = FileSettings(
        used,
        str(chosen),
        sizes,
        memory_gb,
        size or SIZE_VOX,
        size_mm,
        axis,
        score,
        volume,
        nonfinite,
        maps,
        displaced,
        smooth,
    )
    if not (workers or scheduler or scheduler_file):
        found = _here(trained, files, settings)
    else:
        each = threads or max(1, cores() // (workers or 1))
        found = _on_workers(run.absolute(), dims, files, settings, workers or 0, scheduler, scheduler_file, each)

    points: dict[str, Points] = {}
    counts: dict[str, str] = {}
    kept: dict[str, Points] = {}  # what the count keeps
    problems: dict[str, str] = {}
    tiled: Counter[tuple[int, ...]] = Counter()
    affines: list[FloatArray] = []
    residuals: list[float] = []  # of maps whose mean is the count, but for interpolation
    with new_folder(out) as draft, counting_bar("images", len(cohort)) as advance:
        for one in found:
            advance()
            if one.candidates is None:
                problems[one.identifier] = str(one.problem)
                continue
            at, name = one.candidates.points, one.identifier
            world = np.full(at.shape, np.nan) if one.affine is None else to_world(at, one.affine)
            if one.affine is not None:
                affines.append(one.affine)
            points[name] = Points(at, one.candidates.scores, world_mm=world if dims == 3 else None)
            counts[name] = f"{one.count:.6g}"
            if one.residual is not None:
                residuals.append(abs(one.residual))
            if one.attention is not None:
                (draft / "maps").mkdir(exist_ok=True)
                if dims == 3:
                    write_scan(draft / "maps" / f"{name}.nii.gz", one.attention, one.affine)
                else:
                    np.save(draft / "maps" / f"{name}.npy", one.attention)
            if one.tile:
                tiled[one.tile] += 1
        if len(problems) == len(cohort) > 1 and len(set(problems.values())) == 1:
            raise InputError(f"all {len(cohort)} images: {problems[cohort.ids[0]]}")
        left_out = [f"id {name}: {problems[name]}" for name in cohort.ids if name in problems]
        if points:
            write_points(draft / "detections.csv", points, dims)
            if trained.objective == "regression":
                # By the counts as they are written, as `evaluate --counts` reads them.
                kept = {name: each.first(int(whole_counts(counts[name]))) for name, each in points.items()}
                write_points(draft / "counted.csv", kept, dims)
            write_table(draft / "counts.csv", ("id", "count"), list(counts.items()))
            write_json(
                draft / "predict.json",
                {
                    "weakspot": weakspot.__version__,
                    "run": str(run),
                    "network": trained.architecture.name,
                    "objective": trained.objective,
                    "method": used,
                    "score": score,
                    "maximum_filter": {"size": size_mm, "unit": "mm"}
                    if size_mm
                    else {"size": size or SIZE_VOX, "unit": "vox"},
                    "smoothed": {"sigma": smooth, "unit": "mm" if size_mm else "vox"},
                    "slice_axis": axis,
                    "maps_lie_off_vox": known,
                    "maps_moved_back_vox": None if displaced is None else [round(each) for each in displaced],
                    "coordinates": "voxel indices of the image as stored, from 0; of scans, world mm (RAS+) too",
                    "count_refers_to_shape": trained.shape,
                    "largest_count_residual": max(residuals, default=None),
                    "images": len(points),
                    "left_out": left_out,
                },
            )
    if mixed := mixed_grids(affines):
        warn(f"the scans differ in {mixed}: does the network know both?")
    for shape, number in tiled.items():
        say(f"{number} images in tiles of {'x'.join(map(str, shape))}")
    if points:
        counted = f", {sum(map(len, kept.values()))} of them counted: {out}/counted.csv" if kept else ""
        say(
            f"{len(points)} images, {sum(map(len, points.values()))} candidates: {out}/detections.csv, "
            f"{out}/counts.csv{counted}"
        )
    refuse(f"{len(left_out)} of {len(cohort)} images were left out", left_out)


def _here(trained: "Run", files: "list[File]", settings: "FileSettings") -> "Iterator[FoundInFile]":
    from weakspot.predict_files import blocks, predict_files

    for block in blocks(files, trained.architecture.dims):
        yield from predict_files(trained, block, settings)


def _on_workers(
    folder: Path,
    dims: int,
    files: "list[File]",
    settings: "FileSettings",
    workers: int,
    scheduler: str | None,
    scheduler_file: Path | None,
    threads: int,
) -> "Iterator[FoundInFile]":
    """Yield what workers find, in the order of the files; of those whose worker does not survive, that."""
    from dataclasses import replace

    from weakspot.cli.console import warn
    from weakspot.devices import choose_device
    from weakspot.errors import InputError
    from weakspot.predict import memory_for
    from weakspot.predict_files import FoundInFile, blocks, predict_on_worker
    from weakspot.studies.runner import cluster

    if workers and settings.memory_gb is None and settings.tile == "auto":
        settings = replace(settings, memory_gb=memory_for(choose_device(settings.device), workers))
    waiting = deque(blocks(files, dims))
    sent: deque[tuple[tuple[File, ...], Any]] = deque()
    with cluster(workers, scheduler, scheduler_file) as client:
        while waiting or sent:
            # As many as keep all busy: results wait in memory until those before them have come.
            while waiting and len(sent) < 2 * max(1, sum(client.nthreads().values())):
                block = waiting.popleft()
                future = client.submit(predict_on_worker, folder, block, settings, threads, pure=False)
                sent.append((block, future))
            block, future = sent.popleft()
            try:
                found = {each.identifier: each for each in future.result()}
            except InputError:
                raise
            except Exception as error:  # of Dask, when a worker died
                found = {file.identifier: FoundInFile(file.identifier, f"its worker failed: {error}") for file in block}
            for text in (text for each in found.values() for text in each.warnings):
                warn(text)
            yield from (found[file.identifier] for file in block)


def _sizes(tile: str) -> str | int | tuple[int, ...]:
    """Return the tile that an option names: auto, one size, or one for each axis."""
    from weakspot.errors import InputError

    if tile == "auto":
        return tile
    try:
        sizes = tuple(map(int, tile.split(",")))
        if min(sizes) < 1:
            raise ValueError(tile)
    except ValueError as error:
        raise InputError(f"--tile {tile!r}: expected auto, a number of voxels such as 96, or 96,96,64") from error
    return sizes[0] if len(sizes) == 1 else sizes
