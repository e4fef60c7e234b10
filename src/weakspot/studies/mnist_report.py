"""What the MNIST study came to, written down: tables, figures and a page, from its records alone."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from weakspot.errors import InputError
from weakspot.files import write_atomically, write_text
from weakspot.report.figures import save
from weakspot.report.study_tables import beside
from weakspot.report.tables import Table, number
from weakspot.studies.claims import CLAIMS
from weakspot.studies.fauc import NAMES, Fauc, digit_list, our_fauc, published_fauc
from weakspot.studies.mnist import COMPARED, OBJECTIVES, group_of
from weakspot.studies.mnist_figures import figures
from weakspot.studies.mnist_summary import standing, what_was_run
from weakspot.studies.published import FIGURES, published
from weakspot.studies.readings import READINGS
from weakspot.studies.results import Results, averages, mean, read_results, tables
from weakspot.studies.units import Place

_DPI = 300  # what journals ask of pictures
_TITLES = {
    "fauc": "FAUC, 0-5 false positives an image (%)",
    "sensitivity": "Sensitivity at the predicted count (%)",
    "fpavg": "False positives an image at the predicted count",
    "fnavg": "Missed an image at the predicted count",
}


def write_report(place: Place, page: Path | None = None) -> str:
    """Write ``summary.json``, ``tables.md``, ``.txt`` and ``.tex``, ``figures`` and the page, and return what is where.

    Nothing but the records is read, those of other settings left out; weights are not needed. What stands in
    ``notes.md`` beside the records, written by hand, goes into the page as it is.

    Parameters
    ----------
    place : of the study
    page : where the page goes; unless given, where it went before, at first ``report.md`` in the folder

    Raises
    ------
    InputError
        There is no study, or nothing is evaluated yet.
    """
    results = read_results(place)
    if not results.evaluations:
        raise InputError(f"{place.out} holds no evaluation yet: there is nothing to report")
    page = _where(place, page)
    ours, paper = tables(results), published()
    write_text(place.out / "summary.json", json.dumps(ours, indent=1, allow_nan=False) + "\n")
    laid_out = study_tables(ours, paper)
    for ending, form in (("md", Table.markdown), ("txt", Table.text), ("tex", Table.latex)):
        write_text(place.out / f"tables.{ending}", "\n".join(map(form, laid_out)))
    folder = place.out / "figures"
    folder.mkdir(exist_ok=True)
    drawn = []
    for name, caption, figure in figures(results, paper):
        path = save(figure, folder / name, _DPI)[-1]
        if not any(axis.images for axis in figure.axes):
            _shrink(path)
        drawn.append((f"Figure {name.removeprefix('figure_')}", caption, os.path.relpath(path, page.parent)))
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, _page(place, page.parent, results, paper, drawn, laid_out))
    return f"{page}, and in {place.out}: summary.json, tables.md, figures"


def _where(place: Place, page: Path | None) -> Path:
    """Return where the page goes, and remember it, from one sitting to the next and in every clone."""
    memory = place.out / "page.txt"
    if page is None:
        remembered = memory.read_text(encoding="utf-8").strip() if memory.exists() else "report.md"
        return Path(os.path.normpath(place.out / remembered))
    write_text(memory, os.path.relpath(page, place.out) + "\n")
    return page


def _shrink(path: Path) -> None:
    """Store a picture of lines with 256 colours, which it has hardly more of: pictures are kept with the results."""
    with Image.open(path) as picture:
        fewer, dpi = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE), picture.info["dpi"]
    write_atomically(path, lambda temporary: fewer.save(temporary, format="png", optimize=True, dpi=dpi))


def study_tables(ours: Mapping[str, Any], paper: Mapping[str, Any]) -> list[Table]:
    """Return the twelve tables, ours beside the published ones."""
    laid_out = []
    for key, table in ours.items():
        _, group, figure = key.split("_")
        run = {method: [row for row in table["values"] if method in table["values"][row]] for method in COMPARED[group]}
        theirs = {method: [paper[key]["values"][row][method]["value"] for row in rows] for method, rows in run.items()}
        same = averages(theirs, 1 if table["unit"] == "percent" else 2)
        rows_run = {method: digit_list(map(int, rows)) for method, rows in run.items() if rows}
        names = {method: NAMES[method] for method in COMPARED[group]}
        title = f"{table['table']}. {_TITLES[figure]}, {group}; 95 % intervals"
        laid_out.append(beside(title, table, paper[key], names, same, rows_run, figure in FIGURES[:2]))
    return laid_out


def _page(
    place: Place,
    beside_it: Path,
    results: Results,
    paper: Mapping[str, Any],
    drawn: list[tuple[str, str, str]],
    laid_out: list[Table],
) -> str:
    notes = place.out / "notes.md"
    ours, theirs = our_fauc(results), published_fauc(paper)
    parts = [
        "# The paper's MNIST study: ours beside the published numbers",
        "Generated by `weakspot study mnist --report` from the records of the study. Methods and tables are those of "
        "Dubost et al. 2020 (doi:10.1016/j.media.2020.101767), sections 3.1, 4.1, 4.2 and appendices A to C.",
        "## What was run",
        what_was_run(place, results),
        "## Ours against the paper",
        *standing(ours, theirs),
        *([notes.read_text(encoding="utf-8").strip()] if notes.exists() else []),
        "## The paper's claims",
        "Each is judged by FAUC unless it says otherwise, by our results as recorded and by the paper's own tables. "
        "“So far” means that runs are missing which could change it; a claim about all digits is judged at those where "
        "all that it compares was run, and fails at any where a part of that is against it.",
        _claims(ours, theirs, results),
        "## What the text leaves open",
        _readings(results, paper),
        "## Figures",
        *(f"![{name}]({path})\n\n**{name}.** {caption}." for name, caption, path in drawn),
        "## FAUC",
        *(table.markdown() for table in laid_out[::4]),
        f"The other tables: [tables.md]({os.path.relpath(place.out / 'tables.md', beside_it)}).",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _claims(ours: Fauc, theirs: Fauc, results: Results) -> str:
    lines = ["| section | the paper says | ours | the paper's own tables |", "| --- | --- | --- | --- |"]
    for claim in CLAIMS:
        verdict = claim.judge(theirs, Results())
        said = "not in its tables" if verdict.holds is None else str(verdict)
        lines.append(f"| {claim.section} | {claim.text} | {claim.judge(ours, results)} | {said} |")
    return "\n".join(lines)


def _readings(results: Results, paper: Mapping[str, Any]) -> str:
    """Lay out how far our figures are from the published ones under each reading of the paper."""
    cells = {objective: sum(cell[0] == objective for cell in results.evaluations) for objective in OBJECTIVES}
    columns = [(objective, figure) for objective, many in cells.items() if many for figure in FIGURES]
    distances: dict[str, list[float]] = {}
    for name in READINGS:
        for objective, figure in columns:
            apart = []
            for (trained, method, digit), seeds in results.evaluations.items():
                cell = paper[f"mnist_{group_of(objective, method)}_{figure}"]["values"][str(digit)].get(method)
                found = mean(each["readings"][name][FIGURES.index(figure)] for each in seeds)
                if trained == objective and cell and found is not None:
                    apart.append(abs((100 if figure in FIGURES[:2] else 1) * found - cell["value"]))
            distances.setdefault(name, []).append(float(np.mean(apart)) if apart else np.nan)
    bold = {
        (row, 1 + place)
        for place in range(len(columns))
        for row, values in enumerate(distances.values())
        if values[place] <= np.nanmin([each[place] for each in distances.values()]) + 1e-9
    }
    rows = tuple(
        (
            name,
            *(
                number(value, form="{:.1f}" if figure in FIGURES[:2] else "{:.2f}")
                for value, (_, figure) in zip(values, columns, strict=True)
            ),
        )
        for name, values in distances.items()
    )
    header = ("matching, averaging, selection", *(f"{figure}, {objective}" for objective, figure in columns))
    title = (
        "Mean distance of ours to the published cells under each reading; the closest in bold "
        f"({', '.join(f'{many} cells, {objective}' for objective, many in cells.items() if many)})"
    )
    text = (
        "“gated image threshold” is what all other figures use. Distances also hold how well our networks were "
        "trained, so only differences between rows speak about the paper's reading. In Table B.10 one detection an "
        "image reaches sensitivities that averaging over objects does not allow."
    )
    pairs = [
        [mean(each[score]["fauc"]["value"] for each in seeds) for score in ("mass", "height")]
        for (objective, _, _), seeds in results.evaluations.items()
        if objective == "regression"
    ]
    if pairs := [pair for pair in pairs if None not in pair]:
        mass, height = 100 * np.mean(np.array(pairs, float), axis=0)
        text += (
            f" Beyond the paper: candidates scored by their mass instead of their height reach a mean FAUC of "
            f"{mass:.1f} instead of {height:.1f} ({len(pairs)} cells, regression)."
        )
    return f"{Table(title, header, rows, frozenset(bold)).markdown()}\n{text}"
