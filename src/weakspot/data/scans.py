"""Scans: NIfTI-1, NIfTI-2 and FreeSurfer files, read whole, checked, in the file's own voxel order."""

import gzip
import math
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weakspot.data.problems import reading
from weakspot.errors import InputError
from weakspot.files import write_atomically
from weakspot.geometry import FloatArray, largest_distance_mm, spacing_of

ENDINGS = (".nii.gz", ".nii", ".mgz", ".mgh")
_COMPRESSED = (".nii.gz", ".mgz")
_GZIP = b"\x1f\x8b"
_MOST_DEFLATED = 1032  # bytes that one byte of a gzip file can stand for, at the most
_NIFTI = {348: "Nifti1Image", 540: "Nifti2Image"}  # by the size of the header, its first number
_STARTS = {
    _GZIP: "gzip",
    **{size.to_bytes(4, order): "uncompressed NIfTI" for size in _NIFTI for order in ("little", "big")},
    b"\x00\x00\x00\x01": "uncompressed MGH",
    b"PK": "a ZIP archive",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x89HDF": "HDF5",
    b"version https://git-lfs": "a Git LFS pointer: fetch the file itself",
    b"<": "HTML or XML",
}
_MM = {1: 1e3, 3: 1e-3}  # of NIfTI's codes for metre and micrometre
_DISAGREE_VOX = 0.05
_SINGULAR = 1e-6


class ScanWarning(UserWarning):
    """A scan that can be used, but about which something is doubtful."""


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
        stored, affine = _read(path, volume)
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
        stored, affine = _read(path, None)
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
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def unit_range(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring a scan's intensities to [0, 1].

    Values that lie there already, as those of region volumes do, are left alone. Others go linearly from the 0.1th
    and 99.9th percentile of the voxels that are not 0 (the background of most scans) to 0 and 1, and are cut off
    there. A constant scan becomes 0.
    """
    if values.min() >= 0 and values.max() <= 1:
        return values
    low, high = (np.float32(value) for value in np.percentile(values[values != 0], [0.1, 99.9]))
    return np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)


def _read(path: Path, volume: int | None) -> tuple[NDArray[Any], FloatArray | None]:
    """Return one volume as it is stored, but scaled, and its affine."""
    _check_start(path)
    compressed = path.name.lower().endswith(_COMPRESSED)
    try:
        # Opened here, because nibabel leaves files open, and believes what headers claim.
        with gzip.open(path) if compressed else path.open("rb") as file:
            start = file.read(540)
            kind_of_image = _kind_of_image(path, start)
            kind_of_header = kind_of_image.header_class
            header = kind_of_header(start[: kind_of_header.template_dtype.itemsize], check=False)
            needed = _claimed(header, path.stat().st_size * (_MOST_DEFLATED if compressed else 1))
            content = start + file.read(max(needed - len(start), 0))
            while compressed and file.read(1 << 20):  # all of it: gzip's checksum comes last
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"cut off or corrupt ({error}): copy it again") from error
    _claimed(header, len(content))
    image = kind_of_image.from_bytes(content)
    kind = image.get_data_dtype()
    if kind.kind not in "iufb":
        raise InputError(
            f"its voxels are {'colours' if kind.fields else 'complex numbers'} ({kind}); expected one real number each"
        )
    array = np.asanyarray(image.dataobj[_chosen(image.shape, volume)])
    return array, _affine(image, content, path)


def _check_start(path: Path) -> None:
    """Refuse a file that begins otherwise than its name says."""
    name = path.name.lower()
    ending = next((ending for ending in ENDINGS if name.endswith(ending)), None)
    if ending is None:
        raise InputError(f"a scan's name ends in {', '.join(ENDINGS)}")
    with path.open("rb") as file:
        start = file.read(32)
    if start.startswith(_GZIP) == (ending in _COMPRESSED):
        return
    expected = "gzip" if ending in _COMPRESSED else "no compression"
    raise InputError(
        f"by its name {ending} expected {expected}, but its content is {_described(start)}: rename or convert it"
    )


def _described(start: bytes) -> str:
    """Say what a file is that starts with these bytes."""
    for magic, what in _STARTS.items():
        if start.startswith(magic):
            return what
    text = start[:32].decode("ascii", "replace")
    return f"text ({text!r} ...)" if text.isprintable() and text.isascii() else f"something unknown ({start[:8]!r} ...)"


def _kind_of_image(path: Path, start: bytes) -> Any:
    """Return nibabel's class of a file with this name that starts, uncompressed, with these bytes."""
    import nibabel

    if path.name.lower().endswith((".mgz", ".mgh")):
        return nibabel.MGHImage
    sizes = {int.from_bytes(start[:4], order) for order in ("little", "big")} & set(_NIFTI)
    if not sizes or len(start) < min(sizes):
        raise InputError(f"it is no NIfTI file: it starts with {_described(start)}, and has no whole header")
    return getattr(nibabel, _NIFTI[sizes.pop()])


def _claimed(header: Any, most: int) -> int:
    """Return how many uncompressed bytes a header claims; refuse more than ``most``, before any are asked for."""
    shape = tuple(map(int, header.get_data_shape()))
    if not shape or min(shape) < 1:
        raise InputError(f"its header claims the shape {shape}: it has no voxels")
    needed = int(header.get_data_offset()) + math.prod(shape) * int(header.get_data_dtype().itemsize)
    if needed > most:
        raise InputError(
            f"its header claims {needed:,} bytes ({'x'.join(map(str, shape))} voxels), and it holds at most {most:,}: "
            "it was cut off, or its header is damaged"
        )
    return needed


def _chosen(shape: tuple[int, ...], volume: int | None) -> tuple[Any, ...]:
    """Return the index of one 3D volume."""
    if len(shape) < 3:
        raise InputError(f"its shape is {shape}; expected three dimensions")
    wide = [axis for axis in range(3, len(shape)) if shape[axis] > 1]
    number = shape[wide[0]] if wide else 1
    if len(wide) > 1 or (wide and volume is None):
        held = " by ".join(str(shape[axis]) for axis in wide)
        way = "save one as a file of its own" if len(wide) > 1 else f"choose one with --volume, 0 to {number - 1}"
        raise InputError(f"it holds {held} volumes (shape {shape}): {way}")
    if volume is not None and not 0 <= volume < number:
        raise InputError(f"it has no volume {volume}: it holds {number}, counted from 0")
    return (..., *((volume or 0) if axis in wide else 0 for axis in range(3, len(shape))))


def _affine(image: Any, content: bytes, path: Path) -> FloatArray | None:
    """Return what the header says of the position; sform before qform, never what nibabel makes up."""

    def doubt(text: str) -> None:
        warnings.warn(f"{path}: {text}", ScanWarning, stacklevel=5)

    if hasattr(image.header, "get_sform"):
        sform, qform = image.header.get_sform(coded=True)[0], image.header.get_qform(coded=True)[0]
        affine = qform if sform is None else sform
        unit = _MM.get(int(image.header["xyzt_units"]) % 8, 1.0)
    else:
        # nibabel fills in a position, and the flag, where the flag says that there is none
        sform, qform, unit = None, None, 1.0
        affine = image.affine if int.from_bytes(content[28:30], "big") == 1 else None
    if affine is None:
        doubt("its header says neither spacing nor position (no sform, no qform); nothing of it can be told in mm")
        return None
    affine = np.array(affine, float)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) <= _SINGULAR * lengths.prod():
        raise InputError(f"its affine is singular ({affine[:3].tolist()}): mend its sform and qform")
    if sform is not None and qform is not None:
        apart = largest_distance_mm(sform, qform, image.shape[:3])
        if not apart <= _DISAGREE_VOX * lengths.min():
            doubt(f"its sform and qform disagree, by up to {apart:.3g} mm; the sform is used")
    if unit != 1:
        doubt(f"its lengths are in {'metres' if unit > 1 else 'micrometres'}; they are converted to mm")
        affine[:3] *= unit
    return affine
