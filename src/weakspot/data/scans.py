"""Scans: NIfTI-1, NIfTI-2 and FreeSurfer files, read whole, checked, in the file's own voxel order."""

import gzip
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weakspot.data.problems import reading
from weakspot.data.scan_files import ENDINGS, ScanWarning, read_stored
from weakspot.errors import InputError
from weakspot.files import write_atomically
from weakspot.geometry import FloatArray, spacing_of


@dataclass(frozen=True, eq=False)
class Scan:
    """A volume and where it lies.

    Attributes
    ----------
    values : (i, j, k)
        float32 intensities, or int32 labels; the file's own voxel order.
    affine : (4, 4) float64, or None
        Voxel index -> world, mm, RAS+; None where the file does not say.
    """

    values: NDArray[Any]
    affine: FloatArray | None

    @property
    def placed(self) -> FloatArray:
        """The affine; an ``InputError`` where the file has none, because then nothing is known in mm."""
        if self.affine is None:
            raise InputError(
                "its header says neither spacing nor position (no sform, no qform), so nothing can be told in mm: "
                "convert it anew from the scanner's files, or set its sform"
            )
        return self.affine

    @property
    def spacing_mm(self) -> FloatArray:
        """(3,) the distance between neighbouring voxels along each axis; an ``InputError`` as of ``placed``."""
        return spacing_of(self.placed)

    @property
    def orientation(self) -> str:
        """Where each axis leads to, such as "RAS" or "LPI"; an ``InputError`` as of ``placed``."""
        return orientation_of(self.placed)


def orientation_of(affine: FloatArray) -> str:
    """Return where each axis leads to, such as "RAS" or "LPI"."""
    from nibabel.orientations import aff2axcodes

    return "".join(map(str, aff2axcodes(affine)))


def mixed_grids(affines: Sequence[FloatArray]) -> str:
    """Say in what grids differ, spacing (to two digits) or orientation, and how many have each; "" if in nothing."""
    found = {
        "spacing": Counter("x".join(f"{each:.2g}" for each in spacing_of(affine)) + " mm" for affine in affines),
        "orientation": Counter(map(orientation_of, affines)),
    }
    return " and ".join(
        f"{what} ({', '.join(f'{number} of {each}' for each, number in counts.most_common())})"
        for what, counts in found.items()
        if len(counts) > 1
    )


def is_scan(path: str | Path) -> bool:
    """Whether the name has one of ``ENDINGS``."""
    return Path(path).name.lower().endswith(ENDINGS)


def read_scan(path: str | Path, volume: int | None = None, nonfinite: str = "reject") -> Scan:
    """Read one scan: intensities as float32, scaled by the header's slope and intercept.

    Parameters
    ----------
    path
        ``.nii``, ``.nii.gz``, ``.mgz`` or ``.mgh``.
    volume
        Which volume of a 4D file, counted from 0; one that holds a single volume needs no choice.
    nonfinite
        "reject" refuses NaN and infinite voxels; "zero" sets them to 0 and warns how many they were.

    Raises
    ------
    InputError
        The file is missing, empty, cut off, corrupt (all of it is read, its checksum too) or not what its ending says;
        its header claims more than the file can hold; it holds colours, complex numbers, several volumes or fewer than
        three dimensions; voxels are not finite; its affine is singular.

    Warns
    -----
    ScanWarning
        The file has neither sform nor qform (``affine`` is None), or both and they disagree (the sform is used), or
        its unit of length is not the mm (it is converted), or voxels were set to 0.
    """
    if nonfinite not in ("reject", "zero"):
        raise InputError(f"nonfinite {nonfinite!r}: choose reject or zero")
    path = Path(path)
    with reading(path):
        stored, affine = read_stored(path, volume)
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is refused as infinite
            values = np.asarray(stored, np.float32, order="C")
        broken = ~np.isfinite(values)
        if number := int(np.count_nonzero(broken)):
            if nonfinite == "reject":
                raise InputError(
                    f"{number} of its {values.size} voxels are NaN or infinite: mend it, or choose --nonfinite zero"
                )
            warnings.warn(f"{path}: {number} voxels, NaN or infinite, were set to 0", ScanWarning, stacklevel=2)
            values = np.where(broken, np.float32(0), values)
    return Scan(values, affine)


def read_labels(path: str | Path) -> Scan:
    """Read a segmentation: whole numbers, as int32, however they are stored.

    Raises
    ------
    InputError
        As of `read_scan`; voxels that are no whole numbers.
    """
    path = Path(path)
    with reading(path):
        stored, affine = read_stored(path, of_labels=True)
        with np.errstate(invalid="ignore"):
            labels = stored.astype(np.int32)
        if wrong := int(np.count_nonzero(labels != stored)):
            example = stored[labels != stored][0]
            raise InputError(f"{wrong} voxels are no labels, such as {example}: expected whole numbers")
    return Scan(labels, affine)


def write_scan(path: str | Path, values: ArrayLike, affine: ArrayLike | None) -> None:
    """Write a volume as NIfTI-1, whole or not at all; the same volume gives the same bytes.

    Parameters
    ----------
    path
        ``.nii.gz`` or ``.nii``.
    values : (i, j, k)
        Floats become float32, truth values uint8, 64-bit integers int32.
    affine : (4, 4) or None
        Voxel index -> world, mm, RAS+; kept as sform, in float32 as NIfTI-1 has it.
    """
    import nibabel

    path, values = Path(path), np.asarray(values)
    narrower = {"f": np.float32, "b": np.uint8, "i": np.int32 if values.dtype.itemsize == 8 else values.dtype}
    image = nibabel.Nifti1Image(values.astype(narrower.get(values.dtype.kind, values.dtype), copy=False), affine)
    image.header.set_xyzt_units("mm")
    content = image.to_bytes()
    if path.name.lower().endswith(".gz"):
        content = gzip.compress(content, compresslevel=1, mtime=0)  # a time stamp would change the bytes
    write_atomically(path, lambda temporary: temporary.write_bytes(content), lasting=False)


def unit_range(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring a scan's intensities to [0, 1].

    Values that lie there already, as those of region volumes do, are left alone. Others go linearly from the 0.1th
    and 99.9th percentile of the voxels that are not 0 (the background of most scans) to 0 and 1, and are cut off
    there. A constant scan becomes 0.
    """
    if values.min() >= 0 and values.max() <= 1:
        return values
    values = values * np.float32(0.5)  # which is exact, and differences stay within float32
    low, high = (np.float32(value) for value in np.percentile(values[values != 0], [0.1, 99.9]))
    return np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)
