"""The records of the MNIST study, and what they come to in the form of the paper's tables."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from weakspot.studies.mnist import COMPARED, DIGITS, objective_of
from weakspot.studies.published import published
from weakspot.studies.units import Place

Cell = tuple[str, str, int]  # objective, method (of a training: architecture), digit
_NAME = re.compile(r"(train|evaluate)-([a-z]+)-([a-z_]+)-(\d)-seed(\d+)\.json")


@dataclass(frozen=True)
class Results:
    """What was done.

    Attributes
    ----------
    trainings, evaluations : for each cell the results of its seeds, in their order
        As `weakspot.studies.mnist_units` returns them.
    """

    trainings: dict[Cell, list[dict[str, Any]]] = field(default_factory=dict)
    evaluations: dict[Cell, list[dict[str, Any]]] = field(default_factory=dict)


def read_results(place: Place) -> Results:
    """Read all records of a study."""
    results = Results()
    for path in sorted(place.units.glob("*.json")):
        if (match := _NAME.fullmatch(path.name)) and (record := place.record(path.stem)):
            kind, objective, name, digit, _ = match.groups()
            cells = results.trainings if kind == "train" else results.evaluations
            cells.setdefault((objective, name, int(digit)), []).append(record["result"])
    return results


def tables(results: Results) -> dict[str, Any]:
    """Return our tables in the form of `weakspot.studies.published.published`, cells not run left out.

    A cell of several seeds is the mean over them, and so is each end of its interval. The average and (population)
    standard deviation are over the digits run.
    """
    return {
        key: {"table": table["table"], "unit": table["unit"], **_table(results, key, table["unit"] == "percent")}
        for key, table in published().items()
        if key.startswith("mnist_")
    }


def _table(results: Results, key: str, percent: bool) -> dict[str, Any]:
    _, group, figure = key.split("_")
    objective = objective_of(group)
    scale, decimals = (100, 1) if percent else (1, 2)
    values: dict[str, dict[str, Any]] = {}
    for digit in DIGITS:
        for method in COMPARED[group]:
            seeds = [each["height"][figure] for each in results.evaluations.get((objective, method, digit), [])]
            if seeds and None not in [each["value"] for each in seeds]:
                value = _mean(each["value"] for each in seeds)
                ends = [_mean(each["ci95"][end] for each in seeds) for end in (0, 1)]
                values.setdefault(str(digit), {})[method] = {
                    "value": round(scale * value, decimals),
                    "ci95": [round(scale * end, decimals) for end in ends],
                }
    return {"values": values, "average": averages(values, COMPARED[group], decimals)}


def averages(values: Mapping[str, Mapping[str, Any]], methods: Iterable[str], decimals: int) -> dict[str, Any]:
    """Return ``{method: {mean, std}}`` over the rows that have the method."""
    found = {method: [row[method]["value"] for row in values.values() if method in row] for method in methods}
    return {
        method: {"mean": round(float(np.mean(column)), decimals), "std": round(float(np.std(column)), decimals)}
        for method, column in found.items()
        if column
    }


def _mean(values: Iterable[float | None]) -> float:
    return float(np.mean([np.nan if value is None else value for value in values]))
