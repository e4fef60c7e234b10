"""Writing down what a study came to: tables, figures and a page, beside its records."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from weakspot.errors import InputError
from weakspot.files import write_atomically, write_text
from weakspot.report.figures import save
from weakspot.report.study_tables import beside
from weakspot.report.tables import Table
from weakspot.studies.cells import averages
from weakspot.studies.published import FIGURES
from weakspot.studies.units import Place

_DPI = 300  # what journals ask of pictures


@dataclass(frozen=True)
class Report:
    """What a study came to.

    Attributes
    ----------
    summary : all tables, in the form of `weakspot.studies.published.published`
    laid_out : the tables to be read
    figures : name, caption, figure
    page : from the figures as Markdown and the folder of the page to its parts
    """

    summary: Mapping[str, Any]
    laid_out: Sequence[Table]
    figures: Iterable[tuple[str, str, Figure]]
    page: Callable[[list[str], Path], Iterable[str]]


def write_report(place: Place, page: Path | None, results: Any, report: Callable[[], Report]) -> str:
    """Write ``summary.json``, ``tables.md``, ``.txt`` and ``.tex``, ``figures`` and the page, and return what is where.

    Nothing but the records is read, those of other settings left out; weights are not needed. What stands in
    ``abstract.md`` and ``notes.md`` beside the records, written by hand, goes into the page as it is.

    Parameters
    ----------
    place : of the study
    page : where the page goes; unless given, where it went before, at first ``report.md`` in the folder
    results : with ``evaluations``
    report : what to write of them

    Raises
    ------
    InputError
        Nothing is evaluated yet.
    """
    if not results.evaluations:
        raise InputError(f"{place.out} holds no evaluation yet: there is nothing to report")
    page, made = page_of(place, page), report()
    write_tables(place, made.summary, made.laid_out)
    drawn = write_figures(place, made.figures, page.parent)
    write_page(page, made.page(drawn, page.parent))
    return f"{page}, and in {place.out}: summary.json, tables.md, figures"


def page_of(place: Place, page: Path | None) -> Path:
    """Return where the page goes, and remember it, from one sitting to the next and in every clone.

    Unless given, it goes where it went before, at first to ``report.md`` in the folder.
    """
    memory = place.out / "page.txt"
    if page is None:
        remembered = memory.read_text(encoding="utf-8").strip() if memory.exists() else "report.md"
        return Path(os.path.normpath(place.out / remembered))
    write_text(memory, os.path.relpath(page, place.out) + "\n")
    return page


def titles(most: int, image: str) -> dict[str, str]:
    """Return what each of the paper's four tables shows, FAUC up to so many false positives."""
    return {
        "fauc": f"FAUC, 0-{most} false positives {image} (%)",
        "sensitivity": "Sensitivity at the predicted count (%)",
        "fpavg": f"False positives {image} at the predicted count",
        "fnavg": f"Missed {image} at the predicted count",
    }


def beside_published(
    key: str,
    ours: Mapping[str, Any],
    paper: Mapping[str, Any],
    names: Mapping[str, str],
    title: str,
    rows_in_words: Callable[[Sequence[str]], str],
    best: Mapping[str, Set[str]] | None = None,
    ours_are: str = "",
) -> Table:
    """Lay out one of our tables beside the published one, see `weakspot.report.study_tables.beside`.

    Parameters
    ----------
    key : of the table, such as "brain_fauc"
    ours, paper : all tables, in the form of `weakspot.studies.published.published`
    names : method -> heading
    title : after the table's number
    rows_in_words : what to call the rows run
    best, ours_are : of `beside`
    """
    table, theirs = ours[key], paper[key]
    run = {method: [row for row in table["values"] if method in table["values"][row]] for method in names}
    published = {method: [theirs["values"][row][method]["value"] for row in rows] for method, rows in run.items()}
    same = averages(published, 1 if table["unit"] == "percent" else 2)
    rows_run = {method: rows_in_words(rows) for method, rows in run.items() if rows}
    higher = key.endswith(FIGURES[:2])
    return beside(f"{table['table']}. {title}", table, theirs, names, same, rows_run, higher, best, ours_are)


def write_tables(place: Place, summary: Mapping[str, Any], laid_out: Sequence[Table]) -> None:
    """Write ``summary.json``, and tables as ``tables.md``, ``.txt`` and ``.tex``."""
    write_text(place.out / "summary.json", json.dumps(summary, indent=1, allow_nan=False) + "\n")
    for ending, form in (("md", Table.markdown), ("txt", Table.text), ("tex", Table.latex)):
        write_text(place.out / f"tables.{ending}", "\n".join(map(form, laid_out)))


def write_figures(place: Place, figures: Iterable[tuple[str, str, Figure]], beside: Path) -> list[str]:
    """Write figures (name, caption, figure) into ``figures``, and return them as Markdown of a page in ``beside``."""
    folder = place.out / "figures"
    folder.mkdir(exist_ok=True)
    shown = []
    for name, caption, figure in figures:
        path = save(figure, folder / name, _DPI)[-1]
        if not any(axis.images for axis in figure.axes):
            _shrink(path)
        title = f"Figure {name.removeprefix('figure_')}"
        shown.append(f"![{title}]({os.path.relpath(path, beside)})\n\n**{title}.** {caption}.")
    return shown


def write_page(page: Path, parts: Iterable[str]) -> None:
    """Write the parts of a page, one below the other."""
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, "\n\n".join(part.strip() for part in parts) + "\n")


def notes_of(place: Place, name: str = "notes.md") -> list[str]:
    """Return what someone wrote by hand into a file beside the records, if anyone did."""
    notes = place.out / name
    return [notes.read_text(encoding="utf-8")] if notes.exists() else []


def _shrink(path: Path) -> None:
    """Store a picture of lines with 256 colours, which it has hardly more of: pictures are kept with the results."""
    with Image.open(path) as picture:
        fewer, dpi = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE), picture.info["dpi"]
    write_atomically(path, lambda temporary: fewer.save(temporary, format="png", optimize=True, dpi=dpi))
