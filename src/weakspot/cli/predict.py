"""``weakspot predict``."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weakspot.cli.options import with_options
from weakspot.cli.seeking import SeekOptions
from weakspot.errors import InputError

if TYPE_CHECKING:
    from weakspot.geometry import FloatArray
    from weakspot.predict_files import File, FileSettings, FoundInFile
    from weakspot.training.run import Run
    from weakspot.tuning import Tuned

Score = StrEnum("Score", ["height", "mass", "prominence"])
CountBy = StrEnum("CountBy", ["network", "threshold"])


@with_options
def predict(
    run: Annotated[Path, typer.Argument(help="Run folder of weakspot train.")],
    images: Annotated[list[Path], typer.Argument(help="A cohort table (CSV or TSV), or image files.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    score: Annotated[
        Score,
        typer.Option(
            help="height: the map at the peak; mass: its share of the count; prominence: its height above the saddle "
            "to a higher peak."
        ),
    ] = Score.height,
    smooth: Annotated[
        float | None,
        typer.Option(
            help="Smooth maps, signed, before peaks are sought: standard deviation of a Gaussian in voxels. Unless "
            "given, what train or tune found by counts, where peaks are sought as they were there."
        ),
    ] = None,
    count_by: Annotated[
        CountBy | None,
        typer.Option(
            help="network: its output is the count; threshold: as many detections as lie above the score that train or "
            "tune found by counts. Unless given, the network, or the threshold where it was clearly better there."
        ),
    ] = None,
    maps: Annotated[
        bool, typer.Option("--maps", help="Write the attention maps too: .nii.gz of scans, .npy of 2D images.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help="Images at once, each in a process of its own, with the extra cluster; 0: in this one."
        ),
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, tcp://host:8786.")] = None,
    scheduler_file: Annotated[Path | None, typer.Option(help="The file that a Dask scheduler wrote.")] = None,
    *,
    options: SeekOptions,
) -> None:
    """Find the objects of new images: detections.csv, counts.csv, and counted.csv.

    Points are voxel indices of the image as it is stored; of scans, world mm (RAS+) too.
    counted.csv holds as many of the best detections of an image as it has objects by its count in counts.csv, which
    under --slice-axis is to be that of a slice. It is not written under classification, where the count is a
    probability.
    Images that cannot be read do not stop the others: they are listed at the end, with exit code 1.
    """
    import numpy as np

    import weakspot
    from weakspot.cli.console import counting_bar, new_folder, say, warn, write_json
    from weakspot.cli.seeking import files_of
    from weakspot.data.points import Points, write_points
    from weakspot.data.problems import refuse
    from weakspot.data.scans import mixed_grids, write_scan
    from weakspot.data.shrinking import enlarged
    from weakspot.data.tables import write_table
    from weakspot.devices import cores, use_cpu
    from weakspot.evaluation.operating_point import whole_counts
    from weakspot.geometry import to_world
    from weakspot.predict import choose_method
    from weakspot.training.run import load

    if smooth is not None and not 0 <= smooth < np.inf:
        raise InputError(f"--smooth {smooth}: expected 0 or more")
    if workers and (scheduler or scheduler_file):
        raise InputError("--workers are started on this machine; with a scheduler, start workers there")
    use_cpu(options.threads, keep_memory=False)
    trained = load(run)
    dims = trained.architecture.dims
    settings = replace(options.settings(run, trained), score=str(score), keep_maps=maps)
    cohort = options.cohort(images, counts=False)
    if maps:
        refuse(
            "ids that cannot name a map's file, for a slash or backslash in them; rename them, or leave --maps out",
            [f"id {name}" for name in cohort.ids if {"/", "\\"} & set(name)],
        )
    files = files_of(cohort, settings, dims)
    if count_by is not None and trained.objective != "regression":
        raise InputError(f"--count-by {count_by}: the network was trained to notice, not to count; leave it out")
    known = trained.displaced_vox if settings.method == choose_method(trained) else None
    settings, tuned = _as_tuned(run, settings, smooth, count_by)
    if not (workers or scheduler or scheduler_file):
        found = _here(trained, files, settings)
    else:
        each = options.threads or max(1, cores() // (workers or 1))
        found = _on_workers(run.absolute(), dims, files, settings, workers or 0, scheduler, scheduler_file, each)

    points: dict[str, Points] = {}
    counts: dict[str, str] = {}
    outputs: dict[str, str] = {}  # of the network
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
            outputs[name] = counts[name] = f"{one.count:.6g}"
            if tuned is not None:
                counts[name] = str(tuned.number_of(one.candidates.scores))
            if one.residual is not None:
                residuals.append(abs(one.residual))
            if one.attention is not None:
                (draft / "maps").mkdir(exist_ok=True)
                attention = enlarged(one.attention, trained.shrink, one.shape)
                if dims == 3:
                    write_scan(draft / "maps" / f"{name}.nii.gz", attention, one.affine)
                else:
                    np.save(draft / "maps" / f"{name}.npy", attention)
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
            table = [(name, count, outputs[name])[: 2 if tuned is None else 3] for name, count in counts.items()]
            write_table(draft / "counts.csv", ("id", "count", "network_count")[: len(table[0])], table)
            write_json(
                draft / "predict.json",
                {
                    "weakspot": weakspot.__version__,
                    "run": str(run),
                    "network": trained.architecture.name,
                    "objective": trained.objective,
                    "method": settings.method,
                    "score": score,
                    "maximum_filter": {"size": settings.size_mm, "unit": "mm"}
                    if settings.size_mm
                    else {"size": settings.size, "unit": "vox"},
                    "smoothed_vox": settings.smooth,
                    "counted_by": "network" if tuned is None else "threshold",
                    "threshold": tuned and tuned.threshold,
                    "slice_axis": settings.slice_axis,
                    "maps_lie_off_vox": known,
                    "maps_moved_back_vox": settings.displaced_vox and [round(each) for each in settings.displaced_vox],
                    "coordinates": "voxel indices of the image as stored, from 0; of scans, world mm (RAS+) too",
                    "shrunk_by": trained.shrink,
                    "sizes_refer_to": "voxels of the image as the network sees it, shrunk by shrunk_by",
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


def _as_tuned(
    run: Path, settings: "FileSettings", smooth: float | None, count_by: CountBy | None
) -> "tuple[FileSettings, Tuned | None]":
    """Return the settings with the smoothing, and what counts the detections, None where the network does."""
    from weakspot.cli.console import say
    from weakspot.tuning import kept_in, sought_in

    kept = kept_in(run) if settings.score == "height" else []
    told = next((each for each in kept if each.sought == sought_in(settings)), None)
    if told is None:
        if count_by == CountBy.threshold:
            raise InputError(
                f"no threshold of {run} is known for {sought_in(settings)}, by score {settings.score}: find one with "
                "weakspot tune and the same options, by height"
            )
        if kept and smooth is None:
            others = "; or ".join(str(each.sought) for each in kept)
            say(f"maps are not smoothed, as {run} was tuned for {others}: weakspot tune does it for these options")
        return replace(settings, smooth=smooth or 0.0), None
    if smooth not in (None, told.sigma_vox):
        if count_by == CountBy.threshold:
            raise InputError(f"the threshold of {run} is of maps smoothed by {told.sigma_vox:g}: leave --smooth out")
        if told.by_threshold and count_by is None:
            say(f"counts are the network's: the threshold of {run} is of maps smoothed by {told.sigma_vox:g}")
        return replace(settings, smooth=smooth or 0.0), None
    by_threshold = count_by == CountBy.threshold or (count_by is None and told.by_threshold)
    if told.sigma_vox and smooth is None:
        say(f"maps are smoothed by {told.sigma_vox:g} voxels, as counts told (--smooth 0)")
    if by_threshold:
        above = "no detection counts" if told.threshold is None else f"a score above {told.threshold:.4g} counts"
        say(f"{above}, as counts told (--count-by network)")
    return replace(settings, smooth=told.sigma_vox), told if by_threshold else None


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
    from weakspot.cli.console import warn
    from weakspot.devices import choose_device
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
