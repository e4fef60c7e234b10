"""Problems of input, gathered and reported at once."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from weakspot.errors import InputError

SHOWN = 20  # problems named in one message; a wrong column can make thousands


def refuse(subject: str, problems: Sequence[str]) -> None:
    """Raise one ``InputError`` that lists all ``problems`` of ``subject``; with none, do nothing.

    >>> refuse("cohort.csv", [])
    >>> refuse("cohort.csv", ["row 2: no id"])
    Traceback (most recent call last):
        ...
    weakspot.errors.InputError: cohort.csv: row 2: no id
    """
    if not problems:
        return
    if len(problems) == 1:
        raise InputError(f"{subject}: {problems[0]}")
    lines = [f"{subject}: {len(problems)} problems", *problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"... and {len(problems) - SHOWN} more")
    raise InputError("\n  ".join(lines))


def file_problem(path: Path) -> str | None:
    """Say why ``path`` is not a file with something in it, or return None."""
    # os.path, where pathlib raises: for names that are too long, links in a circle
    if not os.path.exists(path):
        if os.path.islink(path):
            return f"the link leads to {os.readlink(path)}, which does not exist"
        return "no such file"
    if not os.path.isfile(path):
        return "a folder, not a file" if os.path.isdir(path) else "not an ordinary file"
    if not os.access(path, os.R_OK):
        return "the file may not be read: permission denied"
    return "the file is empty" if os.path.getsize(path) == 0 else None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Put the file's name before whatever is wrong with it, from its absence to what a decoder raises on damage."""
    if problem := file_problem(path):
        raise InputError(f"{path}: {problem}")
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except MemoryError as error:
        raise InputError(f"{path}: memory does not hold it ({error})") from error
    except Warning:
        raise
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise InputError(f"{path}: cannot be read, being damaged or not what its ending says ({error!r})") from error
