"""Tables of text, read and written: comma-separated (.csv) or tab-separated (.tsv) by the file's ending."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from weakspot.data.problems import file_problem, refuse
from weakspot.errors import InputError
from weakspot.files import write_text

SEPARATORS = {".csv": ",", ".tsv": "\t"}
# Columns found in any case, beside those that are required.
NAMES = ("id", "image", "count", "mask", "split", "subject", "slice", "region")


def read_table(path: str | Path, required: Sequence[str]) -> pd.DataFrame:
    """Read a table with every cell as text, so that no id loses its leading zeros.

    A byte order mark and blanks around headers and cells are dropped, blank rows skipped. The columns that weakspot
    knows are found whatever the case of their names. A ``.csv`` whose header has semicolons and no comma is separated
    by these, as spreadsheets write it where the comma is the decimal point.

    Parameters
    ----------
    path
        A file that ends in ``.csv`` or ``.tsv``, UTF-8.
    required
        The columns that must be there; others are kept.

    Returns
    -------
    pandas.DataFrame
        Stripped text; its index is the row's number in the file, the header being row 1, as a spreadsheet
        shows it.

    Raises
    ------
    InputError
        No such file, another ending, not text, columns missing or repeated, rows longer or shorter than the
        header.
    """
    path = Path(path)
    delimiter = separator(path)
    if problem := file_problem(path):
        raise InputError(f"{path}: {problem}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if "\0" in text:
            raise csv.Error("it holds null bytes, as UTF-16 does")
        first = next((line for line in text.splitlines() if line.strip()), "")
        if delimiter == "," and "," not in first and ";" in first:
            delimiter = ";"
        reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
        rows = [[cell.strip() for cell in row] for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table of UTF-8 text ({error}); save it as 'CSV UTF-8'") from error
    filled = [(number, row) for number, row in enumerate(rows, start=1) if any(row)]
    if not filled:
        raise InputError(f"{path}: the table is empty; expected a header with {', '.join(required)}")
    (_, header), *body = filled
    known = {name.lower(): name for name in (*required, *NAMES)}
    header = [known.get(name.lower(), name) for name in header]
    refuse(str(path), _header_problems(header, required, delimiter))
    refuse(
        str(path),
        [
            f"row {number} has {len(row)} cells, the header {len(header)}"
            for number, row in body
            if len(row) != len(header)
        ],
    )
    return pd.DataFrame(
        [row for _, row in body],
        columns=header,
        index=pd.Index([number for number, _ in body], name="row", dtype=int),
        dtype=str,
    )


def write_table(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table, whole or not at all."""
    path = Path(path)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator(path), lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def separator(path: Path) -> str:
    """Return what is between the cells of a table of this name, or refuse the name."""
    if found := SEPARATORS.get(path.suffix.lower()):
        return found
    raise InputError(f"{path}: a table's name ends in .csv (commas) or .tsv (tabs), not in {path.suffix!r}")


def _header_problems(header: Sequence[str], required: Sequence[str], delimiter: str) -> list[str]:
    problems = [
        f"the column {name!r} is there more than once" for name in dict.fromkeys(header) if header.count(name) > 1
    ]
    if missing := [name for name in required if name not in header]:
        hint = f"; are the cells separated by {delimiter!r}?" if len(header) == 1 else ""
        problems.append(f"the table lacks {', '.join(missing)}; its columns are {', '.join(header)}{hint}")
    return problems
