"""``weakspot predict``."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, cast

import typer


def predict(
    run: Annotated[Path, typer.Argument(help="Run folder of weakspot train.")],
    images: Annotated[list[Path], typer.Argument(help="A cohort table (CSV or TSV), or image files.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    method: Annotated[
        str | None,
        typer.Option(help="cam, gated, grad_cam, grad, guided_backprop, intensity; the network's own unless given."),
    ] = None,
    score: Annotated[
        str, typer.Option(help="height of the peak, or mass: the share of the count it carries.")
    ] = "height",
    size: Annotated[int | None, typer.Option(min=1, help="Voxels of the maximum filter; 6 unless given.")] = None,
    size_mm: Annotated[
        float | None,
        typer.Option(help="The same in mm, by each scan's spacing (of 2D images, the table's spacing_y, spacing_x)."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only the rows of this split: train, val, test.")] = None,
    maps: Annotated[
        bool, typer.Option("--maps", help="Write the attention maps too: .nii.gz of scans, .npy of 2D images.")
    ] = False,
    volume: Annotated[int | None, typer.Option(min=0, help="Which volume of 4D scans, from 0.")] = None,
    nonfinite: Annotated[str, typer.Option(help="NaN and infinite voxels of scans: reject, or zero.")] = "reject",
    tile: Annotated[
        str,
        typer.Option(help="Large images in tiles of so many voxels, such as 96 or 96,96,64; auto: as memory needs."),
    ] = "auto",
    memory_gb: Annotated[
        float | None,
        typer.Option(min=0, help="Memory for one image under --tile auto; what is available unless given."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores unless given.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
) -> None:
    """Find the objects of new images: detections.csv and counts.csv.

    Points are voxel indices of the image as it is stored; of scans, world mm (RAS+) too.
    An image that cannot be read does not stop the others: it is listed at the end, with exit code 1.
    """
    import numpy as np

    import weakspot
    from weakspot.cli.console import counting_bar, new_folder, say, write_json
    from weakspot.data.cohort import cohort_of_images, read_cohort
    from weakspot.data.geometry import geometry_of
    from weakspot.data.images import read_placed, scaled
    from weakspot.data.points import Points, write_points
    from weakspot.data.problems import refuse
    from weakspot.data.scans import write_scan
    from weakspot.data.tables import write_table
    from weakspot.detection.peaks import SIZE_VOX
    from weakspot.devices import choose_device, use_cpu
    from weakspot.errors import InputError
    from weakspot.geometry import FloatArray, spacing_of, to_world
    from weakspot.predict import choose_method
    from weakspot.predict import predict as predict_images
    from weakspot.training.run import load

    sizes = _sizes(tile)
    if size is not None and size_mm is not None:
        raise InputError("--size is in voxels, --size-mm in mm: give one of them")
    if size_mm is not None and not 0 < size_mm < np.inf:
        raise InputError(f"--size-mm {size_mm}: expected a size above 0")
    use_cpu(threads, keep_memory=False)
    chosen, trained = choose_device(device), load(run)
    used, dims = choose_method(trained, method), trained.architecture.dims
    is_table = len(images) == 1 and images[0].suffix.lower() in (".csv", ".tsv")
    cohort = read_cohort(images[0], counts=False, files=False) if is_table else cohort_of_images(images)
    if split is not None:
        cohort = cohort.with_split(split)
    if maps:
        refuse(
            "ids that cannot name a map's file, for a slash or backslash in them; rename them, or leave --maps out",
            [f"id {name}" for name in cohort.ids if {"/", "\\"} & set(name)],
        )
    # Scans say their spacing themselves.
    stated = geometry_of(cohort, dims, spacing=True).spacing_mm if size_mm is not None and dims == 2 else None
    problems: list[str] = []
    done: list[tuple[str, FloatArray | None]] = []

    def readable() -> Iterator[Any]:
        for identifier, path in zip(cohort.ids, cohort.paths, strict=True):
            try:
                image = read_placed(path, volume, nonfinite)
                trained.check(image.stored)
                if size_mm is not None and image.affine is None and stated is None:
                    raise InputError("its voxels have no known size in mm: give --size in voxels")
            except InputError as error:
                problems.append(f"id {identifier}: {error}")
            else:
                done.append((identifier, image.affine))
                yield scaled(image.stored)

    def spacings() -> Iterator[FloatArray]:
        for index in itertools.count():
            identifier, affine = done[index]
            yield cast(FloatArray, stated)[cohort.ids.index(identifier)] if affine is None else spacing_of(affine)

    points: dict[str, Points] = {}
    counts: list[tuple[str, str]] = []
    tiled: Counter[tuple[int, ...]] = Counter()
    with new_folder(out) as draft, counting_bar("images", len(cohort)) as advance:
        predictions = predict_images(
            trained,
            readable(),
            used,
            chosen,
            tile=sizes,
            memory_gb=memory_gb,
            spacing_mm=None if size_mm is None else spacings(),
            size=size_mm or size or SIZE_VOX,
            score=score,
        )
        for index, prediction in enumerate(predictions):
            identifier, affine = done[index]
            found = prediction.candidates
            world = np.full(found.points.shape, np.nan) if affine is None else to_world(found.points, affine)
            points[identifier] = Points(found.points, found.scores, world_mm=world if dims == 3 else None)
            counts.append((identifier, f"{prediction.count:.6g}"))
            if maps:
                (draft / "maps").mkdir(exist_ok=True)
                if dims == 3:
                    write_scan(draft / "maps" / f"{identifier}.nii.gz", prediction.attention, affine)
                else:
                    np.save(draft / "maps" / f"{identifier}.npy", prediction.attention)
            if prediction.tile:
                tiled[prediction.tile] += 1
            advance()
        if done:
            write_points(draft / "detections.csv", points, dims)
            write_table(draft / "counts.csv", ("id", "count"), counts)
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
                    "coordinates": "voxel indices of the image as stored, from 0; of scans, world mm (RAS+) too",
                    "count_refers_to_shape": trained.shape,
                    "images": len(done),
                    "left_out": problems,
                },
            )
    for shape, number in tiled.items():
        say(f"{number} images in tiles of {'x'.join(map(str, shape))}")
    if done:
        say(f"{len(done)} images, {sum(map(len, points.values()))} candidates: {out}/detections.csv, {out}/counts.csv")
    refuse(f"{len(problems)} of {len(cohort)} images were left out", problems)


def _sizes(tile: str) -> str | int | tuple[int, ...]:
    """Return the tile that an option names: auto, one size, or one for each axis."""
    from weakspot.errors import InputError

    if tile == "auto":
        return tile
    try:
        sizes = tuple(map(int, tile.split(",")))
    except ValueError as error:
        raise InputError(f"--tile {tile!r}: expected auto, a number of voxels such as 96, or 96,96,64") from error
    return sizes[0] if len(sizes) == 1 else sizes
