"""Tables of a study in the paper's form, each cell of ours above the published one."""

from collections.abc import Mapping, Set
from math import hypot
from typing import Any

from weakspot.report.tables import Table

NOT_RUN = "not run"
_Z, _INTERVAL = 1.96, 3.92  # of a normal distribution: a difference of 5 %, and the width of 95 %, in deviations


def beside(
    title: str,
    ours: Mapping[str, Any],
    paper: Mapping[str, Any],
    names: Mapping[str, str],
    same_rows: Mapping[str, Any],
    rows_run: Mapping[str, str],
    higher_is_better: bool,
    best: Mapping[str, Set[str]] | None = None,
    ours_are: str = "",
) -> Table:
    """Lay out two tables of `weakspot.studies.published.published` form in one: of each row, ours, then the paper's.

    Parameters
    ----------
    ours, paper : ``{values: {row: {method: {value, ci95}}}, average: {method: {mean, std}}}``
        The rows are the paper's; cells that ours lacks say "not run".
    names : method -> heading, in the order of the columns
    same_rows : the paper's average over the rows that ours has, ``{method: {mean, std}}``
    rows_run : method -> the rows that ours has, in words
    higher_is_better : whether the best cell of a row is the highest or the lowest
    best : row -> methods to set in bold among ours, where that was tested; else it is told from the intervals
    ours_are : what ours are, where the paper's are something else
    """
    decimals = 1 if paper["unit"] == "percent" else 2
    rows: list[tuple[str, ...]] = []
    bold: set[tuple[int, int]] = set()
    for row, published in paper["values"].items():
        for label, whose, cells in ((row, "ours", ours["values"].get(row, {})), ("", "paper", published)):
            marked = _best({method: cells[method] for method in names if method in cells}, higher_is_better)
            if best is not None and whose == "ours":
                marked = set(best.get(row, ()))
            bold |= {(len(rows), 2 + column) for column, method in enumerate(names) if method in marked}
            rows.append(
                (
                    label.replace("_", " "),
                    _named(whose, ours_are),
                    *(_cell(cells.get(method), decimals) for method in names),
                )
            )
    whole = all(method in ours["values"].get(row, {}) for row in paper["values"] for method in names)
    averages = [("average", "ours", ours["average"]), ("", "paper", paper["average"])]
    if not whole:
        averages[1:] = [("", "paper, same rows", same_rows), ("", "paper, all rows", paper["average"])]
    for label, whose, average in averages:
        rows.append((label, _named(whose, ours_are), *(_average(average.get(method), decimals) for method in names)))
    if not whole:
        rows.append(("", "rows run", *(rows_run.get(method, "none") for method in names)))
    tested = (
        "5 %, from the intervals, as if of other images; in the paper's rows as well, whatever it prints in bold"
        if best is None
        else "5 %; the paper's from its intervals"
    )
    among = "" if whole else " among those run, where there are several,"
    note = f"Bold: the best of a row{among} and those that are not significantly worse ({tested})."
    if not whole:
        note += " Averages of columns with other rows are not to be compared."
    return Table(title, ("", "", *names.values()), tuple(rows), frozenset(bold), note)


def _named(whose: str, ours_are: str) -> str:
    return f"ours, {ours_are}" if whose == "ours" and ours_are else whose


def _best(cells: Mapping[str, Mapping[str, Any]], higher_is_better: bool) -> set[str]:
    """Return the best of several cells and those whose difference from it is within what their intervals tell."""
    if len(cells) < 2:
        return set()
    best = (max if higher_is_better else min)(cells.values(), key=lambda cell: cell["value"])
    return {
        method
        for method, cell in cells.items()
        if abs(cell["value"] - best["value"]) <= _Z * hypot(_width(cell), _width(best)) / _INTERVAL
    }


def _width(cell: Mapping[str, Any]) -> float:
    low, high = cell["ci95"]
    return 0.0 if low is None or high is None else float(high - low)


def _cell(cell: Mapping[str, Any] | None, decimals: int) -> str:
    if cell is None:
        return NOT_RUN
    low, high = cell["ci95"]
    interval = "" if low is None or high is None else f" ({low:.{decimals}f} - {high:.{decimals}f})"
    return f"{cell['value']:.{decimals}f}{interval}"


def _average(average: Mapping[str, Any] | None, decimals: int) -> str:
    if average is None:
        return NOT_RUN
    spread = f" ± {average['std']:.{decimals}f}" if average["std"] else ""  # of one row there is none
    return f"{average['mean']:.{decimals}f}{spread}"
