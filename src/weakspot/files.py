"""Writing files so that they are whole or absent, whatever happens meanwhile, and reading back what may be neither."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], object], lasting: bool = True) -> None:
    """Have ``write`` fill a temporary file beside ``path``, then move it into place.

    Unless it is to be ``lasting``, waiting for the disk (a quarter of a second on some) is saved: a power cut, but no
    interruption of the program, may leave the file empty. For what is many, and can be made again: see `is_whole`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        if lasting:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, lasting: bool = True) -> None:
    """Write text to ``path``, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"), lasting)


def is_whole(path: Path) -> bool:
    """Say whether a file of `write_atomically` is there, and no power cut has emptied it."""
    return path.exists() and path.stat().st_size > 0


def read_record(path: Path, *names: str) -> dict[str, Any] | None:
    """Return the JSON object in a file if it is there, undamaged, and has these keys; else None."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and set(names) <= record.keys() else None
