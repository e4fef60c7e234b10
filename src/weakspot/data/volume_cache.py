"""Decoded images on disk, mapped into memory: a compressed scan is decoded once, and no cohort is too large."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from weakspot.data.formats import Stored
from weakspot.files import write_atomically, write_text
from weakspot.geometry import FloatArray

_FORMAT = 1  # of what is kept; part of the key

Placed = tuple[Stored, FloatArray | None]


def cached(folder: Path, path: Path, settings: tuple[object, ...], read: Callable[[], Placed]) -> Placed:
    """Return what ``read`` makes of a file, from the folder if that was read before, mapped into memory, read-only.

    Kept by the file's content and ``settings``, so neither a renamed nor a changed file is mistaken for another. What
    is damaged, or was cut off while it was written, is made again.

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
    values, affine = (folder / f"{digest.hexdigest()[:32]}{ending}" for ending in (".npy", ".json"))
    try:
        where = json.loads(affine.read_text(encoding="utf-8"))
        return np.load(values, mmap_mode="r"), None if where is None else np.array(where)
    except (OSError, ValueError):
        pass
    image, where = read()
    folder.mkdir(parents=True, exist_ok=True)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, image)

    write_atomically(values, write)
    write_text(affine, json.dumps(None if where is None else where.tolist()))
    return np.load(values, mmap_mode="r"), where
