"""Tables of a study in the paper's form, each cell of ours above the published one."""

from collections.abc import Mapping
from typing import Any

from weakspot.report.tables import Table

NOT_RUN = "not run"


def beside(
    title: str,
    ours: Mapping[str, Any],
    paper: Mapping[str, Any],
    names: Mapping[str, str],
    same_rows: Mapping[str, Any],
    higher_is_better: bool,
) -> Table:
    """Lay out two tables of `weakspot.studies.published.published` form in one: of each row, ours, then the paper's.

    Parameters
    ----------
    ours, paper : ``{values: {row: {method: {value, ci95}}}, average: {method: {mean, std}}}``
        The rows are the paper's; cells that ours lacks say "not run".
    names : method -> heading, in the order of the columns
    same_rows : the paper's average over the rows that ours has, ``{method: {mean, std}}``
    higher_is_better : which cells of a row are set in bold, the highest or the lowest
    """
    decimals = 1 if paper["unit"] == "percent" else 2
    rows: list[tuple[str, ...]] = []
    bold: set[tuple[int, int]] = set()
    for row, published in paper["values"].items():
        for label, whose, cells in ((row, "ours", ours["values"].get(row, {})), ("", "paper", published)):
            found = {method: cells[method]["value"] for method in names if method in cells}
            best = (max if higher_is_better else min)(found.values(), default=0)
            bold |= {(len(rows), 2 + column) for column, method in enumerate(names) if found.get(method) == best}
            rows.append((label, whose, *(_cell(cells.get(method), decimals) for method in names)))
    for label, whose, average in (
        ("average", "ours", ours["average"]),
        ("", "paper, same rows", same_rows),
        ("", "paper, all rows", paper["average"]),
    ):
        rows.append((label, whose, *(_average(average.get(method), decimals) for method in names)))
    run = [sum(method in row for row in ours["values"].values()) for method in names]
    rows.append(("", "rows run", *map(str, run)))
    return Table(title, ("", "", *names.values()), tuple(rows), frozenset(bold))


def _cell(cell: Mapping[str, Any] | None, decimals: int) -> str:
    if cell is None:
        return NOT_RUN
    low, high = cell["ci95"]
    return f"{cell['value']:.{decimals}f} ({low:.{decimals}f} - {high:.{decimals}f})"


def _average(average: Mapping[str, Any] | None, decimals: int) -> str:
    return NOT_RUN if average is None else f"{average['mean']:.{decimals}f} ± {average['std']:.{decimals}f}"
