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


def percent(value: float, interval: Sequence[float] | None = None) -> str:
    """Return a fraction in percent, with its interval in the paper's form.

    >>> percent(0.974, (0.964, 0.984))
    '97.4 (96.4 - 98.4)'
    """
    if value != value:
        return "not defined"
    text = f"{100 * value:.1f}"
    return text if interval is None else f"{text} ({100 * interval[0]:.1f} - {100 * interval[1]:.1f})"


def evaluation_table(result: dict[str, Any]) -> str:
    """Return the figures of an evaluation, and below them the conventions that they hang on."""
    rows = [["FAUC (%), 95 % interval", percent(result["fauc"], result["fauc_ci95"])]]
    if "sensitivity" in result:
        rows += [
            ["sensitivity (%)", percent(result["sensitivity"])],
            ["precision (%)", percent(result["precision"])],
            ["false positives an image", f"{result['fp_avg']:.2f}"],
            ["missed an image", f"{result['fn_avg']:.2f}"],
            ["count error, mean absolute", f"{result['count_mae']:.2f}"],
            ["count error, bias", f"{result['count_bias']:+.2f}"],
        ]
    title = f"{result['n_images']} images, {result['n_objects']} objects"
    conventions = "; ".join(f"{name}: {value}" for name, value in result["conventions"].items())
    return f"{text_table([title, ''], rows)}\n\n{conventions}"
