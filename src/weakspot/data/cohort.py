"""Cohorts: the table of images and their counts, checked as a whole before any image is opened."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weakspot.data.checks import SPLITS, cohort_problems, parse_count, repeated
from weakspot.data.problems import file_problem, refuse
from weakspot.data.tables import read_table
from weakspot.errors import InputError
from weakspot.seeding import generator

_NAMED = 5  # of the values of a column, in a message


class CohortWarning(UserWarning):
    """A cohort that can be used, but from which little may be learned."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """Images, known by their ids, with their counts.

    Attributes
    ----------
    table : pandas.DataFrame
        One row an image: ``id`` and ``image`` (text), ``count`` (float64, if known), ``split`` (one of
        ``SPLITS``) and every other column of the file as text. Its index is the row's number in the file.
    folder : pathlib.Path
        What the paths in ``image`` are relative to.
    """

    table: pd.DataFrame
    folder: Path

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.table)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in the table's order."""
        return tuple(self.table["id"])

    @property
    def paths(self) -> tuple[Path, ...]:
        """The image files, in the table's order."""
        return tuple(self.folder / image for image in self.table["image"])

    @property
    def counts(self) -> NDArray[np.float64]:
        """(n,) the numbers of objects, fractional where they are means over raters.

        Raises an ``InputError`` if the cohort was read without them.
        """
        if "count" not in self.table or not pd.api.types.is_numeric_dtype(self.table["count"]):
            raise InputError("this cohort was read without counts; training needs the column 'count'")
        return self.table["count"].to_numpy(np.float64)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Who each image is of: the column ``subject``, or else the id, shared by rows of one image file."""
        if "subject" in self.table:
            return tuple(self.table["subject"])
        if "image" not in self.table:
            return self.ids
        files = [os.path.realpath(path) for path in self.paths]
        owner = dict(sorted(zip(files, self.ids, strict=True), reverse=True))  # the first id of each file
        return tuple(owner[file] for file in files)

    def select(self, keep: NDArray[np.bool_]) -> "Cohort":
        """Return the cohort of the rows for which ``keep`` (n,) is true, in the same order."""
        return Cohort(self.table[keep], self.folder)

    def with_split(self, name: str) -> "Cohort":
        """Return the cohort of the rows whose column ``split`` is ``name``, or refuse where there are none."""
        if "split" not in self.table:
            raise InputError(f"the cohort has no column 'split' to choose {name!r} by")
        chosen = self.select((self.table["split"] == name).to_numpy(bool))
        if not len(chosen):
            raise InputError(f"no image has the split {name!r}; there are {', '.join(self.table['split'].unique())}")
        return chosen

    def where(self, column: str, value: str) -> "Cohort":
        """Return the cohort of the rows whose cell in any column is ``value``, or refuse where there are none."""
        if column not in self.table:
            raise InputError(f"no column {column!r}; there are {', '.join(self.table.columns)}")
        cells = self.table[column].to_numpy(str)
        if value not in cells:
            there = ", ".join(np.unique(cells)[:_NAMED])
            raise InputError(f"no image has {value!r} in the column {column!r}; there are such as {there}")
        return self.select(cells == value)


class Splits(NamedTuple):
    """A cohort taken apart; ``test`` may be empty."""

    train: Cohort
    val: Cohort
    test: Cohort


def read_cohort(path: str | Path, counts: bool = True, images: bool = True, files: bool = True) -> Cohort:
    """Read and check a cohort table; the images themselves are not opened.

    The columns are ``id, image, count`` and, if wanted, ``mask, split, subject`` and any others, which are
    kept. Ids are text. Paths are relative to the table. ``split`` holds ``train``, ``val`` (or
    ``validation``) or ``test``.

    Parameters
    ----------
    path
        A ``.csv`` or ``.tsv`` file (see `weakspot.data.tables.read_table`).
    counts
        Whether ``count`` is needed. If not, as for prediction, the column is not looked at: it may be
        missing, or filled in by half.
    images
        Whether ``image`` is needed. If not, as for evaluation, the files need not be there, nor the column.
    files
        Whether the files must be there. If not, a missing one is found when it is read, and stops no other.

    Raises
    ------
    InputError
        All that is wrong with the table, one line a row: ids missing or repeated; counts missing, negative
        or text; files that are not there; unknown splits; an image or a subject in two splits; an
        image of two subjects.

    Warns
    -----
    CohortWarning
        All counts are equal.
    """
    path = Path(path)
    table = read_table(path, ("id", *(["image"] if images else []), *(["count"] if counts else [])))
    if not images:
        table = table.drop(columns=["image", "mask"], errors="ignore")
    if table.empty:
        raise InputError(f"{path}: the table has a header and no rows")
    if "split" in table:
        table["split"] = table["split"].str.lower().replace("validation", "val")
    refuse(str(path), cohort_problems(table, path.parent, counts, files))
    if counts:
        table["count"] = np.array([parse_count(text) for text in table["count"]], np.float64)
        if len(table) > 1 and table["count"].nunique() == 1:
            warnings.warn(
                f"{path}: all {len(table)} counts are {table['count'].iloc[0]:g}, which teaches nothing",
                CohortWarning,
                stacklevel=2,
            )
    return Cohort(table, path.parent)


def cohort_of_images(paths: Sequence[str | Path]) -> Cohort:
    """Make a cohort without counts from bare image files; an id is the file's name without its ending.

    Raises
    ------
    InputError
        Lists the files that are not there and those whose ids clash.
    """
    if not paths:
        raise InputError("no images were given")
    ids = [Path(Path(path).name.removesuffix(".gz")).stem for path in paths]  # of scan.nii.gz both endings go
    problems = [f"{path}: {problem}" for path in paths if (problem := file_problem(Path(path)))]
    problems += [
        f"{paths[place]}: its id would be {ids[place]!r}, as of {paths[first]}; name them apart, or give a table"
        for place, first in repeated(ids)
    ]
    refuse("the images given", problems)
    table = pd.DataFrame({"id": ids, "image": [str(path) for path in paths]}, dtype=str)
    return Cohort(table, Path())


def split_cohort(cohort: Cohort, seed: int, validation: float = 0.2) -> Splits:
    """Take a cohort apart by its ``split`` column; where that names no ``val``, draw it from ``train``.

    Without the column, every row counts as ``train``. All rows of a subject (see ``Cohort.subjects``) stay
    together. The draw depends on the seed and the set of subjects, not on the order of the rows.

    Parameters
    ----------
    cohort
        What ``read_cohort`` returned.
    seed
        The run's seed; the stream is ``"split"``.
    validation
        The share of the training subjects that is drawn for validation, in (0, 1); at least one subject is.

    Raises
    ------
    InputError
        No training rows, or a single subject to draw from.
    """
    if not 0 < validation < 1:
        raise InputError(f"the share for validation must lie between 0 and 1, not {validation}")
    split = cohort.table["split"].to_numpy(str) if "split" in cohort.table else np.full(len(cohort), "train")
    if "train" not in split:
        raise InputError(f"no row has the split 'train', only {', '.join(np.unique(split)) or 'none at all'}")
    if "val" not in split:
        subjects = np.array(cohort.subjects)
        known = np.unique(subjects[split == "train"])
        if len(known) < 2:
            raise InputError(
                f"no validation set can be drawn from the one subject {str(known[0])!r} (rows of one image file are "
                "one); add subjects, or name the rows in a column 'split'"
            )
        number = min(max(round(validation * len(known)), 1), len(known) - 1)
        drawn = generator(seed, "split").permutation(known)[:number]
        split = np.where((split == "train") & np.isin(subjects, drawn), "val", split)
    return Splits(*(cohort.select(split == name) for name in SPLITS))
