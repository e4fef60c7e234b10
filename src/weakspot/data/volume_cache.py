"""Decoded images on disk, mapped into memory: a compressed scan is decoded once, and no cohort is too large."""

import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from weakspot.data.formats import Stored
from weakspot.data.scan_files import ScanWarning
from weakspot.files import read_record, write_atomically, write_text
from weakspot.geometry import FloatArray

_FORMAT = 2  # of what is kept; part of the key

Placed = tuple[Stored, FloatArray | None]


def cached(folder: Path, path: Path, settings: tuple[object, ...], read: Callable[[], Placed]) -> Placed:
    """Return what ``read`` makes of a file, from the folder if that was read before, mapped into memory, read-only.

    Kept by the file's content and ``settings``, so neither a renamed nor a changed file is mistaken for another. What
    is damaged, or was cut off while it was written, is made again. What ``read`` warns of is warned of each time.

    Parameters
    ----------
    folder : made if it is not there
    path : the file
    settings : all else that the result hangs on
    read : () -> (channels, *spatial), and the affine or None
    """
    digest = hashlib.sha256(repr((_FORMAT, settings)).encode())
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    values, told = (folder / f"{digest.hexdigest()[:32]}{ending}" for ending in (".npy", ".json"))
    known = read_record(told, "affine", "warnings")
    try:
        image = None if known is None else np.load(values, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        image = None
    if known is None or image is None:
        known = _keep(path, read, values, told)
        image = np.load(values, mmap_mode="r")
    for text in known["warnings"]:
        warnings.warn(f"{path}: {text}", ScanWarning, stacklevel=3)
    return image, None if known["affine"] is None else np.array(known["affine"])


def _keep(path: Path, read: Callable[[], Placed], values: Path, told: Path) -> dict[str, Any]:
    """Read a file, write what it holds and what there is to tell of it, and return the latter."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ScanWarning)
        image, affine = read()
    known = {
        "affine": None if affine is None else affine.tolist(),
        # Without its name, for the file may have another when it is read again.
        "warnings": [str(each.message).removeprefix(f"{path}: ") for each in caught],
    }
    values.parent.mkdir(parents=True, exist_ok=True)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, image)

    write_atomically(values, write)
    write_text(told, json.dumps(known))
    return known
