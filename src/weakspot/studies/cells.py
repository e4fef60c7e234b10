"""Cells of a study's tables: records taken or left out, what several seeds come to, tables in the paper's form."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from weakspot.studies.units import Place, Unit, key

Ends = tuple[float | None, float | None, float | None]


class Evaluated(Protocol):
    """What was evaluated: for each cell the results of its seeds, in their order."""

    @property
    def evaluations(self) -> Mapping[Any, list[dict[str, Any]]]:
        """Results with ``height``: ``{figure: {value, sd, ci95}}``."""


def taken(place: Place, name: str, unit: Unit | None) -> dict[str, Any] | str:
    """Return the result that a record holds, with its time and version, or why it counts for nothing."""
    record = place.record(name)
    if unit is None:
        return "not of this study"
    if record is None:
        return "damaged; the study runs it again"
    if record["key"] != key(unit):
        return "of other settings; the study runs it again"
    return {"seconds": record["seconds"], "weakspot": record.get("weakspot"), **record["result"]}


def table_of(
    results: Evaluated,
    figure: str,
    percent: bool,
    rows: Sequence[str],
    methods: Sequence[str],
    cell: Callable[[str, str], Any],
) -> dict[str, Any]:
    """Return ``{values: {row: {method: {value, ci95}}}, average: {method: {mean, std}}}``, cells not run left out.

    Parameters
    ----------
    results : what was evaluated
    figure : a key of each result's figures
    percent : whether fractions become percent
    rows, methods : of the table
    cell : (row, method) -> key of the evaluations
    """
    scale, decimals = (100, 1) if percent else (1, 2)
    values: dict[str, dict[str, Any]] = {}
    columns: dict[str, list[float]] = {}
    for row in rows:
        for method in methods:
            value, low, high = figure_of(results, cell(row, method), figure)
            if value is not None:
                columns.setdefault(method, []).append(scale * value)
                ends = [None if end is None else round(scale * end, decimals) for end in (low, high)]
                values.setdefault(row, {})[method] = {"value": round(scale * value, decimals), "ci95": ends}
    return {"values": values, "average": averages(columns, decimals)}


def figure_of(results: Evaluated, cell: Any, figure: str) -> Ends:
    """Return a figure of one cell and the ends of its interval, each the mean over the seeds as they were recorded.

    None where the cell was not run, or any seed's is not defined.
    """
    seeds = [each["height"][figure] for each in results.evaluations.get(cell, [])]
    low, high = (mean(each["ci95"][end] for each in seeds) for end in (0, 1))
    return mean(each["value"] for each in seeds), low, high


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean, None of nothing or where any value is not defined."""
    found = list(values)
    return float(np.mean([each for each in found if each is not None])) if found and None not in found else None


def averages(columns: Mapping[str, Sequence[float]], decimals: int) -> dict[str, Any]:
    """Return ``{method: {mean, std}}`` of columns of values."""
    return {
        method: {"mean": round(float(np.mean(column)), decimals), "std": round(float(np.std(column)), decimals)}
        for method, column in columns.items()
        if column
    }
