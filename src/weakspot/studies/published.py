"""The paper's result tables, as data."""

import json
from importlib.resources import files
from typing import Any

FIGURES = ("fauc", "sensitivity", "fpavg", "fnavg")  # a table each, for every group of methods


def published() -> dict[str, Any]:
    """Return all 16 tables: ``{key: {table, unit, values: {row: {method: {value, ci95}}}, average}}``."""
    tables: dict[str, Any] = json.loads(files(__package__).joinpath("published.json").read_text(encoding="utf-8"))
    return tables


def mnist_cell(digit: int, method: str, objective: str = "regression") -> dict[str, dict[str, Any]]:
    """Return what the paper has for one digit and method (a column of its tables): ``{figure: {value, ci95}}``.

    The figures are `FIGURES`, the first two in percent, the others an image; empty where the paper has none.
    """
    tables = published()
    cells: dict[str, dict[str, Any]] = {}
    for figure in FIGURES:
        for study in (objective, "architecture"):
            row = tables[f"mnist_{study}_{figure}"]["values"][str(digit)]
            if method in row and (study == objective or objective == "regression"):
                cells.setdefault(figure, row[method])
    return cells
