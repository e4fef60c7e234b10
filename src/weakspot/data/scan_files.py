"""Files of scans: NIfTI-1, NIfTI-2 and FreeSurfer's, read to their end, their headers held against what they hold."""

import gzip
import math
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakspot.errors import InputError
from weakspot.geometry import FloatArray, largest_distance_mm

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


def read_stored(
    path: Path, volume: int | None = None, of_labels: bool = False
) -> tuple[NDArray[Any], FloatArray | None]:
    """Return one volume as it is stored, but scaled, and its affine.

    Parameters
    ----------
    path, volume
        As for `weakspot.data.scans.read_scan`, whose errors and warnings are raised here.
    of_labels
        Whether it is a segmentation, of which no volume can be chosen.
    """
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
    if _has_damaged_qform(header) and header["sform_code"] < 1:
        raise InputError(
            "its qform is damaged, its quaternion being no rotation, and it has no sform to use instead: set one"
        )
    image = kind_of_image.from_bytes(content)
    kind = image.get_data_dtype()
    if kind.kind not in "iufb":
        raise InputError(
            f"its voxels are {'colours' if kind.fields else 'complex numbers'} ({kind}); expected one real number each"
        )
    array = np.asanyarray(image.dataobj[_chosen(image.shape, volume, of_labels)])
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
    try:
        size = int(header.get_data_dtype().itemsize)
    except KeyError as code:
        raise InputError(f"its header names the data type {code}, which there is not: it is damaged") from code
    needed = int(header.get_data_offset()) + math.prod(shape) * size
    if needed > most:
        raise InputError(
            f"its header claims {needed:,} bytes ({'x'.join(map(str, shape))} voxels), and it holds at most {most:,}: "
            "it was cut off, or its header is damaged"
        )
    return needed


def _chosen(shape: tuple[int, ...], volume: int | None, of_labels: bool) -> tuple[Any, ...]:
    """Return the index of one 3D volume."""
    if len(shape) < 3:
        raise InputError(f"its shape is {shape}; expected three dimensions")
    wide = [axis for axis in range(3, len(shape)) if shape[axis] > 1]
    number = shape[wide[0]] if wide else 1
    if len(wide) > 1 or (wide and volume is None):
        held = " by ".join(str(shape[axis]) for axis in wide)
        alone = of_labels or len(wide) > 1
        way = "save one as a file of its own" if alone else f"choose one with --volume, 0 to {number - 1}"
        raise InputError(f"it holds {held} volumes (shape {shape}): {way}")
    if volume is not None and not 0 <= volume < number:
        raise InputError(f"it has no volume {volume}: it holds {number}, counted from 0")
    return (..., *((volume or 0) if axis in wide else 0 for axis in range(3, len(shape))))


def _affine(image: Any, content: bytes, path: Path) -> FloatArray | None:
    """Return what the header says of the position; sform before qform, never what nibabel makes up."""

    def doubt(text: str) -> None:
        warnings.warn(f"{path}: {text}", ScanWarning, stacklevel=5)

    if hasattr(image.header, "get_sform"):
        damaged = _has_damaged_qform(image.header)
        sform = image.header.get_sform(coded=True)[0]
        qform = None if damaged else image.header.get_qform(coded=True)[0]
        if damaged:
            doubt("its qform is damaged, its quaternion being no rotation; the sform is used")
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


def _has_damaged_qform(header: Any) -> bool:
    """Return whether there is a qform whose quaternion is no rotation, so that nothing decodes it."""
    if not hasattr(header, "get_qform_quaternion") or header["qform_code"] < 1:
        return False
    try:
        return not np.isfinite(header.get_qform_quaternion()).all()
    except ValueError:
        return True
