"""From a trained network and image files to what is in each; what is wrong with one file stops no other."""

import functools
import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from weakspot.data.images import read_placed
from weakspot.data.scan_files import ScanWarning
from weakspot.data.shrinking import carried_back
from weakspot.detection.peaks import SIZE_VOX, Candidates
from weakspot.devices import use_cpu
from weakspot.errors import InputError
from weakspot.geometry import FloatArray, spacing_of
from weakspot.predict import predict
from weakspot.slices import slice_index
from weakspot.training.run import Run, load

_BATCH = 16  # images of a block in 2D; volumes are taken one by one


@dataclass(frozen=True)
class File:
    """One image file.

    Attributes
    ----------
    identifier : its id
    path : where it is
    spacing_mm : (dims,) as someone stated it, for files that do not say
    slice_index : of the slice to seek peaks in, NaN for the middle one, if one is asked for
    """

    identifier: str
    path: Path
    spacing_mm: tuple[float, ...] | None = None
    slice_index: float = float("nan")


@dataclass(frozen=True)
class FileSettings:
    """How files are read and predicted; voxels are those that the network sees, of shrunk images where it does.

    Attributes
    ----------
    method, device, tile, memory_gb, score : see `weakspot.predict.predict`
    size : of the maximum filter, in voxels
    size_mm : the same in mm, instead
    smooth : see `weakspot.detection.peaks.candidates`
    slice_axis : the axis across one slice of each image, if peaks are sought in that alone
    volume, nonfinite : see `weakspot.data.scans.read_scan`
    keep_maps : whether the maps are wanted, too
    displaced_vox : see `weakspot.predict.predict`
    """

    method: str | None = None
    device: str = "cpu"
    tile: int | tuple[int, ...] | str | None = "auto"
    memory_gb: float | None = None
    size: int = SIZE_VOX
    size_mm: float | None = None
    slice_axis: int | None = None
    score: str = "height"
    volume: int | None = None
    nonfinite: str = "reject"
    keep_maps: bool = False
    displaced_vox: tuple[float, ...] | None = None
    smooth: float = 0.0


@dataclass(frozen=True, eq=False)
class FoundInFile:
    """What is in one file, or what is wrong with it.

    Attributes
    ----------
    identifier : of the file
    problem : why there is nothing else, or None
    affine : (4, 4) of a scan
    shape : of the image as it is stored
    count, candidates, tile, residual : as of `weakspot.predict.Prediction`, points being voxel indices of that image
    attention : the map as the network sees the image, where it was to be kept
        Of a smaller grid where images are shrunk, see `weakspot.data.shrinking.enlarged`.
    spacing_mm : (dims,) of the map's voxels, None where it is not known
    warnings : what to warn of, where another process found it
    """

    identifier: str
    problem: str | None = None
    affine: FloatArray | None = None
    shape: tuple[int, ...] = ()
    count: float = float("nan")
    candidates: Candidates | None = None
    attention: NDArray[np.float32] | None = None
    spacing_mm: FloatArray | None = None
    tile: tuple[int, ...] | None = None
    residual: float | None = None
    warnings: tuple[str, ...] = ()


def blocks(files: Sequence[File], dims: int) -> list[tuple[File, ...]]:
    """Return the files in the portions that are predicted together, here or elsewhere: so to the same bytes."""
    size = _BATCH if dims == 2 else 1
    return [tuple(files[begin : begin + size]) for begin in range(0, len(files), size)]


def predict_files(run: Run, files: Sequence[File], settings: FileSettings) -> Iterator[FoundInFile]:
    """Yield what is in each file; those that cannot be read come as soon as that is known."""
    broken: list[FoundInFile] = []
    read: list[FoundInFile] = []  # what is known of them before they are searched
    places: list[tuple[int, float]] = []

    def images() -> Iterator[NDArray[np.float32]]:
        for file in files:
            try:
                image = read_placed(file.path, settings.volume, settings.nonfinite)
                values = run.ready(image.stored)
                spacing = file.spacing_mm if image.affine is None else spacing_of(image.affine)
                if settings.size_mm is not None and spacing is None:
                    raise InputError("its voxels have no known size in mm: give --size in voxels")
                shape = image.stored.shape[1:]
                if settings.slice_axis is not None:
                    slice_index(file.slice_index, shape[settings.slice_axis])
            except InputError as error:
                broken.append(FoundInFile(file.identifier, str(error)))
            except MemoryError as error:
                broken.append(FoundInFile(file.identifier, f"{file.path}: memory does not hold it ({error})"))
            else:
                in_mm = None if spacing is None else np.multiply(spacing, run.shrink)
                read.append(FoundInFile(file.identifier, affine=image.affine, shape=shape, spacing_mm=in_mm))
                places.append((cast(int, settings.slice_axis), file.slice_index))
                yield values

    spacings = (cast(FloatArray, read[index].spacing_mm) for index in itertools.count())
    predictions = predict(
        run,
        images(),
        settings.method,
        settings.device,
        tile=settings.tile,
        memory_gb=settings.memory_gb,
        spacing_mm=None if settings.size_mm is None else spacings,
        slices=None if settings.slice_axis is None else (places[index] for index in itertools.count()),
        displaced_vox=settings.displaced_vox,
        size=settings.size_mm or settings.size,
        score=settings.score,
        smooth=settings.smooth,
    )
    done = 0
    try:
        for each in predictions:
            known = read[done]
            yield replace(
                known,
                count=each.count,
                candidates=replace(
                    each.candidates, points=carried_back(each.candidates.points, run.shrink, known.shape)
                ),
                attention=each.attention if settings.keep_maps else None,
                tile=each.tile,
                residual=each.residual,
            )
            done += 1
    except InputError as error:  # such as memory that does not suffice for one image
        seen = {each.identifier for each in broken} | {each.identifier for each in read[:done]}
        yield from (FoundInFile(file.identifier, str(error)) for file in files if file.identifier not in seen)
    yield from broken


def predict_on_worker(
    folder: Path, files: Sequence[File], settings: FileSettings, threads: int | None
) -> list[FoundInFile]:
    """Do the same in another process, which reads the run folder itself; warnings come with the first file."""
    use_cpu(threads, keep_memory=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ScanWarning)
        first, *others = predict_files(_loaded(folder), files, settings)
    return [replace(first, warnings=tuple(str(each.message) for each in caught)), *others]


@functools.lru_cache(maxsize=1)
def _loaded(folder: Path) -> Run:
    return load(folder)
