"""Tables: one description, laid out as plain text, Markdown or LaTeX."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as Layout

_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "%&_#${}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": "$<$",
        ">": "$>$",
        "±": r"$\pm$",
    }
)


@dataclass(frozen=True)
class Table:
    """What a table says; how it looks is up to `text`, `markdown` and `latex`.

    Attributes
    ----------
    title : such as "Table A.5"
    header : one name a column
    rows : text, as many as in the header each
    bold : (row, column) of the cells to mark
    note : what stands below
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bold: frozenset[tuple[int, int]] = frozenset()
    note: str = ""

    def text(self) -> str:
        """Return it for a terminal, marked cells with a star before them."""
        layout = text_table(self.header, self._marked(lambda cell: cell, "*{}"))
        return "\n\n".join(filter(None, [self.title, layout, self.note])) + "\n"

    def markdown(self) -> str:
        """Return it as Markdown, marked cells in bold."""
        header = [_markdown(name) for name in self.header]
        rows = [header, [":---", *("---:" for _ in header[1:])], *self._marked(_markdown, "**{}**")]
        layout = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        return "\n\n".join(filter(None, [f"**{self.title}**", layout, self.note])) + "\n"

    def latex(self) -> str:
        """Return it as a LaTeX table with marked cells in bold; it needs the package booktabs."""

        def line(cells: Sequence[str]) -> str:
            return " & ".join(cells) + r" \\"

        return "\n".join(
            [
                r"\begin{table}",
                rf"\caption{{{_latex(self.title)}}}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}",
                r"\toprule",
                line([_latex(name) for name in self.header]),
                r"\midrule",
                *map(line, self._marked(_latex, r"\textbf{{{}}}")),
                r"\bottomrule",
                r"\end{tabular}",
                *([rf"\par\footnotesize {_latex(self.note)}"] if self.note else []),
                r"\end{table}",
                "",
            ]
        )

    def _marked(self, escape: Callable[[str], str], mark: str) -> list[list[str]]:
        return [
            [
                mark.format(escape(cell)) if (place, column) in self.bold else escape(cell)
                for column, cell in enumerate(row)
            ]
            for place, row in enumerate(self.rows)
        ]


# The ways to lay a table out, by name.
FORMS: dict[str, Callable[[Table], str]] = {"text": Table.text, "markdown": Table.markdown, "latex": Table.latex}


def _markdown(text: str) -> str:
    return text.replace("|", r"\|")


def _latex(text: str) -> str:
    return text.translate(_LATEX).replace("$<$=", r"$\leq$").replace("$>$=", r"$\geq$")


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows of text below a header; the first column is flush left, the others flush right."""
    layout = Layout(*header, box=SIMPLE, show_edge=False, pad_edge=False)
    for column in layout.columns[1:]:
        column.justify = "right"
    for row in rows:
        layout.add_row(*row)
    # Wider than any table, or cells would be cut; and text is not to be taken for markup.
    console = Console(width=10_000, color_system=None, force_terminal=False, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(layout)
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())


def percent(value: float | None, interval: Sequence[float | None] | None = None) -> str:
    """Return a fraction in percent, with its interval in the paper's form; None is not defined.

    >>> percent(0.974, (0.964, 0.984))
    '97.4 (96.4 - 98.4)'
    """
    return number(value, interval, "{:.1f}", 100)


def number(
    value: float | None, interval: Sequence[float | None] | None = None, form: str = "{:.2f}", unit: float = 1
) -> str:
    """Return a number, times ``unit``, with its interval in the paper's form; None is not defined.

    Between signed ends stands "to", since a dash would read as a sign.

    >>> number(0.5, (0.25, 1)), number(-0.5, (-1, 0.25))
    ('0.50 (0.25 - 1.00)', '-0.50 (-1.00 to 0.25)')
    """
    if value is None or value != value:
        return "not defined"
    ends = [form.format(unit * end) for end in interval or () if end is not None and end == end]
    between = " to " if any(end.startswith(("-", "+")) for end in ends) else " - "
    return form.format(unit * value) + (f" ({between.join(ends)})" if ends else "")
