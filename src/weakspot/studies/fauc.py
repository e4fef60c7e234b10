"""FAUC of the MNIST study by cell, ours and the paper's, and what it comes to over digits."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from weakspot.studies.cells import figure_of
from weakspot.studies.mnist import CELLS, COMPARED, DIGITS, VARIANTS, objective_of
from weakspot.studies.results import Cell, Results

NAMES = {
    "gp_unet": "GP-Unet",
    "gp_unet_no_residual": "GP-Unet no residual",
    "gated_attention": "Gated Attention",
    "grad_cam": "Grad-CAM",
    "grad": "Grad",
    "guided_backprop": "Guided-backprop",
    "gp_unet_no_skip": "GP-Unet no skip",
    "gp_unet_max_pool": "GP-Unet max pool",
}
Fauc = dict[Cell, tuple[float, float, float]]  # value, lower end, upper end in percent, of the cells run


def our_fauc(results: Results) -> Fauc:
    """Return the FAUC of all cells run, not rounded further than they are recorded."""
    found = {cell: figure_of(results, cell, "fauc") for cell in CELLS}
    return {
        cell: (100 * value, *(100 * (value if end is None else end) for end in ends))  # type: ignore[misc]
        for cell, (value, *ends) in found.items()
        if value is not None
    }


def published_fauc(tables: Mapping[str, Any]) -> Fauc:
    """Return the FAUC of all cells of the paper."""
    return {
        (objective_of(group), method, int(digit)): (cell["value"], *cell["ci95"])
        for group in COMPARED
        for digit, row in tables[f"mnist_{group}_fauc"]["values"].items()
        for method, cell in row.items()
        if group != "architecture" or method in VARIANTS
    }


def digits_of(fauc: Fauc, *columns: tuple[str, str]) -> list[int]:
    """Return the digits that all of some columns (objective, method) were run on."""
    return [digit for digit in DIGITS if all((*column, digit) in fauc for column in columns)]


def mean_fauc(fauc: Fauc, column: tuple[str, str], digits: Iterable[int]) -> float:
    """Return the mean FAUC of a column (objective, method) over digits."""
    return float(np.mean([fauc[*column, digit][0] for digit in digits]))


def ranking(means: Mapping[str, float]) -> str:
    """Return names in their order, such as "A 97.0 > B 95.2 = C 95.2"; only what is equal to all digits is a tie."""
    ranked = sorted(means, key=lambda name: -means[name])
    signs = ["", *(" = " if tied(means[a], means[b]) else " > " for a, b in pairwise(ranked))]
    return "".join(f"{sign}{name} {means[name]:.1f}" for sign, name in zip(signs, ranked, strict=True))


def tied(one: float, other: float) -> bool:
    """Say whether two means are equal, but for the order in which they were summed."""
    return abs(one - other) < 1e-9


def digit_list(digits: Iterable[int]) -> str:
    """Return digits in words, runs of three and more as ranges.

    >>> digit_list([0, 1, 2, 3, 5, 7, 8])
    '0-3, 5, 7, 8'
    """
    runs: list[list[int]] = []
    for digit in sorted(digits):
        if runs and digit == runs[-1][-1] + 1:
            runs[-1].append(digit)
        else:
            runs.append([digit])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)
