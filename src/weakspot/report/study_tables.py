"""Tables of a study in the paper's form, each cell of ours above the published one: text, Markdown and LaTeX."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weakspot.report.tables import text_table

NOT_RUN = "not run"


@dataclass(frozen=True)
class StudyTable:
    """A laid-out table.

    Attributes
    ----------
    title : such as "Table A.5"
    header : one name a column
    rows : text, as many as in the header each
    bold : (row, column) of the best cells
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bold: frozenset[tuple[int, int]] = frozenset()

    def text(self) -> str:
        """Return it for a terminal."""
        return f"{self.title}\n\n{text_table(self.header, self.rows)}\n"

    def markdown(self) -> str:
        """Return it as Markdown."""
        rows = [
            [f"**{cell}**" if (place, column) in self.bold else cell for column, cell in enumerate(row)]
            for place, row in enumerate(self.rows)
        ]
        lines = [self.header, [":---", *("---:" for _ in self.header[1:])], *rows]
        return f"**{self.title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def latex(self) -> str:
        """Return it as a LaTeX table, which needs the package booktabs."""

        def line(cells: Sequence[str]) -> str:
            return " & ".join(cells) + r" \\"

        rows = [
            [
                rf"\textbf{{{_latex(cell)}}}" if (place, column) in self.bold else _latex(cell)
                for column, cell in enumerate(row)
            ]
            for place, row in enumerate(self.rows)
        ]
        return "\n".join(
            [
                r"\begin{table}",
                rf"\caption{{{_latex(self.title)}}}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}",
                r"\toprule",
                line([_latex(name) for name in self.header]),
                r"\midrule",
                *map(line, rows),
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )


def _latex(text: str) -> str:
    for character in "%&_#":
        text = text.replace(character, f"\\{character}")
    return text.replace("±", r"$\pm$")


def beside(
    title: str,
    ours: Mapping[str, Any],
    paper: Mapping[str, Any],
    names: Mapping[str, str],
    same_rows: Mapping[str, Any],
    higher_is_better: bool,
) -> StudyTable:
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
    return StudyTable(title, ("", "", *names.values()), tuple(rows), frozenset(bold))


def _cell(cell: Mapping[str, Any] | None, decimals: int) -> str:
    if cell is None:
        return NOT_RUN
    low, high = cell["ci95"]
    return f"{cell['value']:.{decimals}f} ({low:.{decimals}f} - {high:.{decimals}f})"


def _average(average: Mapping[str, Any] | None, decimals: int) -> str:
    return NOT_RUN if average is None else f"{average['mean']:.{decimals}f} ± {average['std']:.{decimals}f}"
