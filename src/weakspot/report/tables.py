"""Tables as text."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows of text below a header; the first column is flush left, the others flush right."""
    table = Table(*header, box=SIMPLE, show_edge=False, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    console = Console(width=200, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())


def percent(value: float | None, interval: Sequence[float | None] | None = None) -> str:
    """Return a fraction in percent, with its interval in the paper's form; None is not defined.

    >>> percent(0.974, (0.964, 0.984))
    '97.4 (96.4 - 98.4)'
    """
    if value is None or value != value:
        return "not defined"
    ends = [100 * end for end in interval or () if end is not None]
    return f"{100 * value:.1f}" + (f" ({ends[0]:.1f} - {ends[1]:.1f})" if ends else "")


def evaluation_table(result: dict[str, Any]) -> str:
    """Return the figures of an evaluation, and below them the conventions that they hang on."""
    rows = [["FAUC (%), 95 % interval", percent(result["fauc"], result["fauc_ci95"])]]
    rows += [
        ["sensitivity (%)", percent(result["sensitivity"], result["sensitivity_ci95"])],
        ["precision (%)", percent(result["precision"], result["precision_ci95"])],
        ["false positives an image", f"{result['fp_avg']:.2f}"],
        ["missed an image", f"{result['fn_avg']:.2f}"],
    ]
    if "count_mae" in result:
        rows += [
            ["count error, mean absolute", f"{result['count_mae']:.2f}"],
            ["count error, bias", f"{result['count_bias']:+.2f}"],
        ]
    title = f"{result['n_images']} images, {result['n_objects']} objects"
    named = {name: value for name, value in result["conventions"].items() if value is not None and name != "meaning"}
    conventions = "; ".join(f"{name}: {value}" for name, value in named.items())
    return f"{text_table([title, ''], rows)}\n\n{conventions}"
