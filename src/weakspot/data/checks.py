"""What can be wrong with a cohort table, row by row."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from weakspot.data.problems import file_problem

SPLITS = ("train", "val", "test")
LARGEST_COUNT = 2**24  # up to here float32, the networks' type, holds every integer
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
MISSING = {"", "nan", "na", "n/a", "none", "null"}


def cohort_problems(table: pd.DataFrame, folder: Path, counts: bool, files: bool = True) -> list[str]:
    """List all problems of a cohort table of text, in the order of its rows, each with its row and id.

    Counts are looked at only if ``counts``, whether files are there only if ``files``; the rest is described at
    `weakspot.data.cohort.read_cohort`.
    """

    def file(text: str) -> str | None:
        return f"{text}: {reason}" if files and (reason := file_problem(folder / text)) else None

    def count(text: str) -> str | None:
        return problem if counts and isinstance(problem := parse_count(text), str) else None

    checks: dict[str, Callable[[str], str | None]] = {
        "id": lambda text: None if text else "the id is missing",
        "image": lambda text: file(text) if text else "no image is named",
        "mask": lambda text: file(text) if text else None,
        "count": count,
        "split": lambda text: None if text in SPLITS else f"the split {text!r} is none of {', '.join(SPLITS)}",
        "subject": lambda text: None if text else "the subject is missing",
    }
    columns = {name: list(table[name]) for name in checks if name in table}
    found: list[list[str]] = [[] for _ in range(len(table))]
    for name, cells in columns.items():
        for problems, cell in zip(found, cells, strict=True):
            problems += filter(None, [checks[name](cell)])

    paths = [os.path.realpath(folder / text) for text in columns["image"]] if "image" in columns else None
    numbers = [int(row) for row in table.index]
    for row, first in repeated(columns["id"]):
        found[row].append(f"the id is that of row {numbers[first]}, too")
    for what, keys, group in (
        ("image", paths, "split"),
        ("subject", columns.get("subject"), "split"),
        ("image", paths, "subject"),
    ):
        if keys is None or group not in columns:
            continue
        for row, first in _torn(keys, columns[group]):
            here, there = columns[group][row], columns[group][first]
            found[row].append(f"its {what} is of the {group} {here!r} here, of {there!r} in row {numbers[first]}")
    return [
        f"row {number} (id {identifier}): {'; '.join(problems)}"
        for number, identifier, problems in zip(numbers, columns["id"], found, strict=True)
        if problems
    ]


def parse_count(text: str) -> float | str:
    """Return the count that ``text`` stands for, such as the mean of several raters', or say what is wrong with it.

    >>> parse_count("2.5"), parse_count("-1")
    (2.5, "the count '-1' is negative")
    """
    if text.lower() in MISSING:
        return "the count is missing"
    if not _NUMBER.fullmatch(text):
        return f"the count {text!r} is not a number"
    number = float(text)
    if number < 0:
        return f"the count {text!r} is negative"
    if number > LARGEST_COUNT:
        return f"the count {text!r} is larger than {LARGEST_COUNT}"
    return number


def repeated(keys: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield (place, place of the first) of each key that was there before; empty keys are another problem."""
    first: dict[str, int] = {}
    for place, key in enumerate(keys):
        if key and first.setdefault(key, place) != place:
            yield place, first[key]


def _torn(keys: Sequence[str], groups: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield (place, place of the key's first) wherever a key turns up in another group than at first."""
    for place, first in repeated(keys):
        if groups[place] != groups[first]:
            yield place, first
