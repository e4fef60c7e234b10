"""Images: any readable file -> float32 (channels, *spatial) in [0, 1], and a cohort's images in memory."""

import itertools
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weakspot.data.cohort import Cohort, CohortWarning
from weakspot.data.formats import READERS, Stored
from weakspot.data.problems import file_problem, reading, refuse
from weakspot.data.scan_files import ENDINGS
from weakspot.data.scans import is_scan, mixed_grids, read_scan, unit_range
from weakspot.data.shrinking import factors_for, shrunk
from weakspot.data.volume_cache import cached
from weakspot.errors import InputError
from weakspot.geometry import FloatArray

_INTEGERS = (np.uint8, np.uint16, np.int8, np.int16)
SCALES = 50.0  # between the brightest of a cohort's images: more is another scale, such as 0-255 beside 0-1


class Image(NamedTuple):
    """An image as it was stored, and where it lies.

    Attributes
    ----------
    stored : (channels, *spatial)
        8 or 16 bit, or float32.
    affine : (4, 4) or None
        Of a scan: voxel index -> world, mm.
    """

    stored: Stored
    affine: FloatArray | None = None


def read_image(path: str | Path, volume: int | None = None, nonfinite: str = "reject") -> NDArray[np.float32]:
    """Read one image.

    Formats: PNG, JPEG, BMP, TIFF of one page, and ``.npy``, (height, width) or (height, width, 3); scans, see
    `weakspot.data.scans`. Axes and their order are the file's own. Colour has three channels, palettes are looked up,
    transparency is left out.

    Parameters
    ----------
    path
        The file.
    volume, nonfinite
        Of scans, as for `weakspot.data.scans.read_scan`.

    Returns
    -------
    (channels, *spatial) float32
        Integers divided by the largest of their type, so in [0, 1] (signed types may go down to -1); true is
        1; floats as they are; scans brought to [0, 1] by `weakspot.data.scans.unit_range`.

    Raises
    ------
    InputError
        No such file, an unknown ending, a file that is damaged, empty or something else, several pages, NaN
        or infinite values, a type without a scale, an orientation tag that turns the image.
    """
    return scaled(read_placed(path, volume, nonfinite).stored)


def read_placed(path: str | Path, volume: int | None = None, nonfinite: str = "reject") -> Image:
    """Read one image as ``read_image`` does, in the file's own type (8 or 16 bit) or float32, with its affine."""
    path = Path(path)
    if is_scan(path):
        scan = read_scan(path, volume, nonfinite)
        return Image(unit_range(scan.values)[None], scan.affine)
    name = path.name.lower()
    reader = next((reader for suffix, reader in READERS.items() if name.endswith(suffix)), None)
    with reading(path):
        if reader is None:
            raise InputError(f"files of this ending are not read, only {', '.join((*READERS, *ENDINGS))}")
        return Image(_usable(reader(path)))


def scaled(image: Stored) -> NDArray[np.float32]:
    """Return an image in float32, integers divided by the largest value of their type."""
    return np.divide(image, full_scale(image.dtype), dtype=np.float32, casting="unsafe")


def full_scale(dtype: np.dtype[Any]) -> float:
    """Return the stored value that stands for 1."""
    return float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0


@dataclass(frozen=True, eq=False)
class ImageStore:
    """Images in memory as they were stored (a quarter of float32 for 8 bits), scaled when taken out.

    Attributes
    ----------
    images : tuple of (channels, *spatial)
        Of one number of channels and dimensions; the sizes may differ.
    least_shape : spatial shape, or None
        To which smaller images are padded, so that several stores (training and validation, say) give one shape.
    """

    images: tuple[Stored, ...]
    least_shape: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @property
    def channels(self) -> int:
        """The number of channels."""
        return int(self.images[0].shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """The spatial shape of every batch: along each axis the largest size of the images and ``least_shape``."""
        shapes = [image.shape[1:] for image in self.images]
        shapes += [self.least_shape] if self.least_shape else []
        return tuple(max(sizes) for sizes in zip(*shapes, strict=True))

    def batch(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Return the images at ``indices`` as (len(indices), channels, *shape), scaled.

        Smaller images are padded with zeros at the far end of each axis: indices of voxels stay what they
        were, and an image looks the same in every batch.
        """
        batch = np.zeros((len(indices), self.channels, *self.shape), np.float32)
        for place, index in zip(batch, indices, strict=True):
            image = self.images[index]
            place[tuple(slice(size) for size in image.shape)] = scaled(image)
        return batch


def load_images(
    cohort: Cohort,
    volume: int | None = None,
    nonfinite: str = "reject",
    cache: Path | None = None,
    shrink: Sequence[int] = (1,),
) -> ImageStore:
    """Read all images of a cohort.

    Parameters
    ----------
    cohort
        What ``read_cohort`` returned.
    volume, nonfinite
        Of scans, as for `weakspot.data.scans.read_scan`.
    cache
        A folder for decoded scans: they are mapped into memory from there, and not decoded again.
    shrink
        By how much, see `weakspot.data.shrinking.shrunk`.

    Raises
    ------
    InputError
        Lists every image that cannot be read, and every one whose channels or dimensions differ from those of
        most; factors of another number than these have, or that leave one voxel along an axis.

    Warns
    -----
    CohortWarning
        Scans differ in spacing or orientation, or images in the scale of their values.
    """
    images: dict[str, Image] = {}
    problems: list[str] = []
    for identifier, path in zip(cohort.ids, cohort.paths, strict=True):
        try:
            images[identifier] = _read_cached(path, volume, nonfinite, cache, tuple(shrink))
        except InputError as error:
            problems.append(f"id {identifier}: {error}")
    kinds = {
        identifier: f"{len(image.stored)} channel(s) in {image.stored.ndim - 1}D"
        for identifier, image in images.items()
    }
    common = Counter(kinds.values()).most_common(1)
    problems += [
        f"id {identifier}: {kind}, where most images have {common[0][0]}"
        for identifier, kind in kinds.items()
        if kind != common[0][0]
    ]
    refuse("the cohort's images", problems)
    stored = tuple(image.stored for image in images.values())
    store = ImageStore(stored)
    factors = factors_for(shrink, len(store.shape))
    if any(factor > 1 == size for factor, size in zip(factors, store.shape, strict=True)):
        raise InputError(
            f"shrunk by {','.join(map(str, factors))} the images have at most {'x'.join(map(str, store.shape))} "
            "voxels: shrink them less"
        )
    if mixed := mixed_grids([image.affine for image in images.values() if image.affine is not None]):
        warnings.warn(
            f"the scans differ in {mixed}: a network sees voxels, and knows neither mm nor orientation",
            CohortWarning,
            stacklevel=2,
        )
    if odd := _odd_scale(stored):
        warnings.warn(odd, CohortWarning, stacklevel=2)
    return store


def _read_cached(path: Path, volume: int | None, nonfinite: str, folder: Path | None, shrink: tuple[int, ...]) -> Image:
    def read() -> Image:
        image = read_placed(path, volume, nonfinite)
        if len(shrink) in (1, image.stored.ndim - 1):  # if not, that is told once, when all are read
            image = image._replace(stored=shrunk(image.stored, shrink))
        return image

    if folder is None or not is_scan(path) or file_problem(path):
        return read()
    settings = (volume, nonfinite) if max(shrink) == 1 else (volume, nonfinite, factors_for(shrink, 3))
    return Image(*cached(folder, path, settings, read))


def load_together(
    cohorts: Sequence[Cohort],
    volume: int | None = None,
    nonfinite: str = "reject",
    cache: Path | None = None,
    shrink: Sequence[int] = (1,),
) -> list[ImageStore]:
    """Read the images of the parts of one cohort, checked as one, into stores that give batches of one shape.

    Parameters and errors are those of `load_images`.
    """
    together = Cohort(pd.concat([part.table for part in cohorts]), cohorts[0].folder)
    whole = load_images(together, volume, nonfinite, cache, shrink)
    ends = np.cumsum([0, *map(len, cohorts)])
    return [ImageStore(whole.images[begin:end], whole.shape) for begin, end in itertools.pairwise(ends)]


def highest_value(image: Stored) -> float:
    """Return the highest value of an image, scaled as it is taken out."""
    return float(image.max()) / full_scale(image.dtype)


def _odd_scale(images: Sequence[Stored]) -> str | None:
    """Say what is odd about the highest values of images: that of several scales, or not of 0 to 1."""
    if len(types := {image.dtype for image in images}) == 1 and types.pop().kind != "f":
        return None  # whole numbers of one type have one scale, and some images are dark
    highest = [high for image in images if (high := highest_value(image)) > 0]
    if not highest:
        return None
    low, middle, high = np.quantile(highest, (0.1, 0.5, 1.0))
    if high > SCALES * middle or middle > SCALES * low:
        return (
            "the highest values of the images, integers divided by the largest of their type, go from "
            f"{min(highest):.3g} to {high:.3g}: are they of one scale? A network sees values as they are"
        )
    if high > SCALES:
        return (
            f"the values of the images go up to {high:.4g}, and training expects about 0 to 1: floats are taken as "
            "they are; divide them, or save them as integers of 8 or 16 bits, which are divided by the largest of "
            "their type"
        )
    return None


def _usable(image: Stored) -> Stored:
    """Return the image in a type that has a scale, in the machine's byte order, or refuse it."""
    if image.size == 0:
        raise InputError(f"an image without pixels, of shape {image.shape[1:]}")
    if image.dtype.kind == "b":
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
            image = image.astype(np.float32)
        if broken := int(np.count_nonzero(~np.isfinite(image))):
            raise InputError(f"{broken} of its {image.size} values are NaN or infinite; replace them first")
        return image
    if image.dtype.newbyteorder("=") not in _INTEGERS:
        raise InputError(
            f"its values are of type {image.dtype}, whose range is no scale of intensities; "
            "save it in 8 or 16 bits, or as floats between 0 and 1"
        )
    return image.astype(image.dtype.newbyteorder("="), copy=False)
