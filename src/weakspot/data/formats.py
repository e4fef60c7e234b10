"""Readers of image files: path -> array (channels, *spatial), values and their order as the file stores them.

A reader raises whatever its decoder raises; `weakspot.data.images` names the file and the way out.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from weakspot.errors import InputError

Stored = NDArray[Any]
_ORIENTATION = 0x0112  # the tag, in EXIF and TIFF alike
_PILLOW_MODES = {mode: mode for mode in ("1", "L", "LA", "I;16", "I;16B", "F", "RGB", "RGBA")} | {"P": "RGBA"}
# none, Deflate, PackBits, old Deflate: what tifffile decodes without a further package
_TIFFFILE_CODECS = {1, 8, 32773, 32946}


def read_npy(path: Path) -> Stored:
    """Read an array that ``numpy.save`` wrote: (height, width) is grey, (height, width, 3) colour."""
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":  # numpy would take it for an archive or a pickle
            raise InputError("not an array that numpy.save wrote")
    # memory-mapped, the size that the header claims is checked before anything is allocated
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim == 2:
        return np.array(array[None])
    if array.ndim == 3 and array.shape[2] == 3:
        return np.array(np.moveaxis(array, 2, 0), order="C")
    raise InputError(f"an array of shape {array.shape}; expected (height, width), or (height, width, 3) for colour")


def read_pillow(path: Path, formats: tuple[str, ...] = ("PNG", "JPEG", "BMP")) -> Stored:
    """Read a PNG, JPEG or BMP file; colours of palettes are looked up, transparency is left out unblended."""
    try:
        image = Image.open(path, formats=formats)
    except UnidentifiedImageError:
        raise InputError(f"not a {' or '.join(formats)} image, or its start is damaged") from None
    with image:
        _refuse_turned(image.getexif().get(_ORIENTATION, 1))
        if image.mode not in _PILLOW_MODES:
            raise InputError(f"its colours are stored as {image.mode}; convert it to grey or RGB")
        array = np.asarray(image.convert(_PILLOW_MODES[image.mode]))
    if array.ndim == 2:
        return array[None]
    colours = 1 if array.shape[2] == 2 else 3
    return np.ascontiguousarray(np.moveaxis(array[..., :colours], 2, 0))


def read_tiff(path: Path) -> Stored:
    """Read a TIFF file of one page, of any depth; inverted ("white is zero") files are not inverted back."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        pages = len(file.pages)
        page = file.pages[0].aspage()
        if pages > 1 or file.series[0].size != page.size:
            count = f"{pages} pages" if pages > 1 else f"an array of shape {file.series[0].shape}"
            raise InputError(f"it holds {count}; save each 2D image as a file of its own, a volume as NIfTI")
        orientation = page.tags.get(_ORIENTATION)
        _refuse_turned(orientation.value if orientation else 1)
        palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
        if palette or page.compression not in _TIFFFILE_CODECS:
            if page.photometric != tifffile.PHOTOMETRIC.MINISWHITE:  # which Pillow would invert
                with suppress(InputError):
                    return read_pillow(path, ("TIFF",))
            kind = f"{tifffile.PHOTOMETRIC(page.photometric).name}, {tifffile.COMPRESSION(page.compression).name}"
            raise InputError(f"a TIFF of this kind ({kind}) is not read; save it uncompressed or with Deflate")
        array, axes = page.asarray(), page.axes
    if axes == "YX":
        return array[None]
    if axes not in ("YXS", "SYX"):
        raise InputError(f"its axes are {axes}; expected one 2D image, grey or colour")
    array = np.moveaxis(array, axes.index("S"), 0)
    alpha = bool({1, 2} & set(page.extrasamples))
    colours = 3 if page.photometric == tifffile.PHOTOMETRIC.RGB else len(array) - alpha
    return np.ascontiguousarray(array[:colours])


def _refuse_turned(orientation: int) -> None:
    # Turned on reading, points would not fit the stored grid; as stored, they would not fit what is shown.
    if 2 <= orientation <= 8:
        raise InputError(
            f"it is stored turned (orientation tag {orientation}), so that positions in it are ambiguous; "
            "save it upright, for example with 'magick mogrify -auto-orient'"
        )


READERS: dict[str, Callable[[Path], Stored]] = {
    ".png": read_pillow,
    ".jpg": read_pillow,
    ".jpeg": read_pillow,
    ".bmp": read_pillow,
    ".tif": read_tiff,
    ".tiff": read_tiff,
    ".npy": read_npy,
}
