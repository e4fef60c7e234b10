"""What the commands that seek peaks in the maps of images share: their options, and what they make of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weakspot.cli.console import Nonfinite, in_voxels, say, whole_numbers
from weakspot.errors import InputError

if TYPE_CHECKING:
    from weakspot.data.cohort import Cohort
    from weakspot.predict_files import File, FileSettings
    from weakspot.training.run import Run


@dataclass(frozen=True, kw_only=True)
class SeekOptions:
    """The options of every command that seeks peaks; each field is an option of the command line."""

    method: Annotated[
        str | None,
        typer.Option(help="cam, gated, grad_cam, grad, guided_backprop, intensity; the network's own unless given."),
    ] = None
    size: Annotated[int | None, typer.Option(min=1, help="Voxels of the maximum filter; 6 unless given.")] = None
    size_mm: Annotated[
        float | None,
        typer.Option(help="The same in mm, by each scan's spacing (of 2D images, the table's spacing_y, spacing_x)."),
    ] = None
    slice_axis: Annotated[
        str | None,
        typer.Option(
            help="Seek only in the table's slice across i, j or k (or 0, 1, 2), the middle one where that is empty."
        ),
    ] = None
    centre: Annotated[
        bool | None,
        typer.Option(help="Move maps back by how far train found that they lie off; done unless not known."),
    ] = None
    split: Annotated[str | None, typer.Option(help="Only the rows of this split: train, val, test.")] = None
    volume: Annotated[int | None, typer.Option(min=0, help="Which volume of 4D scans, from 0.")] = None
    nonfinite: Annotated[Nonfinite, typer.Option(help="NaN and infinite voxels of scans.")] = Nonfinite.reject
    tile: Annotated[
        str,
        typer.Option(help="Large images in tiles of so many voxels, such as 96 or 96,96,64; auto: as memory needs."),
    ] = "auto"
    memory_gb: Annotated[
        float | None,
        typer.Option(min=0.001, help="Memory for one image under --tile auto; what is available unless given."),
    ] = None
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads, of each worker; OMP_NUM_THREADS or all cores unless given.")
    ] = None
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto"

    def __post_init__(self) -> None:
        if self.size is not None and self.size_mm is not None:
            raise InputError("--size is in voxels, --size-mm in mm: give one of them")
        if self.size_mm is not None and not 0 < self.size_mm < float("inf"):
            raise InputError(f"--size-mm {self.size_mm}: expected a size above 0")

    def settings(self, run: Path, trained: "Run") -> "FileSettings":
        """Return how the maps of a run are made and searched, and tell of maps that are moved back."""
        from weakspot.data.geometry import axis_named
        from weakspot.data.shrinking import check_slices_stay
        from weakspot.detection.peaks import SIZE_VOX
        from weakspot.devices import choose_device
        from weakspot.predict import choose_method
        from weakspot.predict_files import FileSettings

        dims = trained.architecture.dims
        tile: str | tuple[int, ...] = self.tile
        if self.tile != "auto":
            tile = whole_numbers("--tile", self.tile, "auto, ")
            if len(tile) not in (1, dims):
                raise InputError(f"--tile {self.tile}: the network is of {dims}D images; give one size, or {dims}")
            tile *= dims if len(tile) == 1 else 1
        method = choose_method(trained, self.method)
        known = trained.displaced_vox if method == choose_method(trained) else None
        if self.centre and known is None:
            raise InputError(
                f"how far the {method} maps of {run} lie off is not known: training with flips tells it of the "
                "network's own method, if maps of mirrored images are alike; leave --centre out, or train again if the "
                "run is old"
            )
        displaced = None if self.centre is False else known
        if displaced is not None and any(map(round, displaced)):
            say(f"maps lie {in_voxels(displaced)} voxels off, and are moved back (--no-centre)")
        axis = None if self.slice_axis is None else axis_named(self.slice_axis, dims)
        if axis is not None:
            check_slices_stay(axis, trained.shrink)
        return FileSettings(
            method,
            str(choose_device(self.device)),
            tile,
            self.memory_gb,
            self.size or SIZE_VOX,
            self.size_mm,
            axis,
            volume=self.volume,
            nonfinite=self.nonfinite,
            displaced_vox=displaced,
        )

    def cohort(self, images: list[Path], counts: bool) -> "Cohort":
        """Return the rows of a table, those of the split, or a cohort of image files."""
        cohort = cohort_of(images, counts)
        return cohort if self.split is None else cohort.with_split(self.split)


def cohort_of(images: list[Path], counts: bool = False) -> "Cohort":
    """Return the cohort that was given: a table, or image files."""
    from weakspot.data.cohort import cohort_of_images, read_cohort

    tables = [path for path in images if path.suffix.lower() in (".csv", ".tsv")]
    if tables and len(images) > 1:
        raise InputError(f"{tables[0]} is a table, and {len(images)} files were given: give one table, or image files")
    return read_cohort(images[0], counts=counts, files=False) if tables else cohort_of_images(images)


def files_of(cohort: "Cohort", settings: "FileSettings", dims: int) -> "list[File]":
    """Return the files of a cohort with what its table says that is needed to search them."""
    import math

    from weakspot.data.geometry import geometry_of, stated_slices
    from weakspot.predict_files import File

    # Scans say their spacing themselves.
    in_mm = settings.size_mm is not None and dims == 2
    stated = geometry_of(cohort, dims, spacing=True).spacing_mm if in_mm else None
    axis = settings.slice_axis
    within = [math.nan] * len(cohort) if axis is None else stated_slices(cohort, axis).tolist()
    return [
        File(name, path.absolute(), None if stated is None else tuple(stated[index].tolist()), within[index])
        for index, (name, path) in enumerate(zip(cohort.ids, cohort.paths, strict=True))
    ]
