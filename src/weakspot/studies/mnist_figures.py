"""The figures of the MNIST study, from its records alone."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from weakspot.data.digit_pools import SIDE
from weakspot.data.digits import COLUMNS, ROWS
from weakspot.report.study_figures import Bar, Tile, bars_figure, curves_figure, maps_figure
from weakspot.studies.cells import figure_of, mean
from weakspot.studies.fauc import NAMES, published_fauc
from weakspot.studies.mnist import COMPARED, DIGITS, METHODS, OBJECTIVES, VARIANTS, objective_of
from weakspot.studies.mnist_summary import is_whole
from weakspot.studies.mnist_units import CURVE_FP
from weakspot.studies.results import Cell, Results


def figures(results: Results, paper: Mapping[str, Any]) -> list[tuple[str, str, Figure]]:
    """Return the name of each figure of the paper's MNIST study, a caption and the figure, in the paper's order.

    Parameters
    ----------
    results : of `weakspot.studies.results.read_results`
    paper : the published tables
    """
    drawn = [*_maps(results), *_bars(results, paper), *_frocs(results)]
    return sorted(drawn, key=lambda each: each[0])


def _frocs(results: Results) -> Iterator[tuple[str, str, Figure]]:
    for number, group, what in (
        ("A.12", "regression", "regression"),
        ("B.13", "classification", "classification"),
        ("C.14", "architecture", "GP-Unet and its variants under regression"),
    ):
        panels = {f"Digit {digit}": _curves(results, group, digit) for digit in DIGITS}
        names = {method: NAMES[method] for method in COMPARED[group]}
        caption = (
            f"FROC curves, {what}; a hit is a detection inside the cell of a target, sensitivity is the mean over "
            "images with a target"
        )
        yield f"figure_{number}", caption, curves_figure(panels, CURVE_FP, names)


def _curves(results: Results, group: str, digit: int) -> dict[str, NDArray[np.float64]]:
    objective = objective_of(group)
    found = {method: results.evaluations.get((objective, method, digit)) for method in COMPARED[group]}
    return {method: np.mean([each["curve"] for each in seeds], axis=0) for method, seeds in found.items() if seeds}


def _bars(results: Results, paper: Mapping[str, Any]) -> Iterator[tuple[str, str, Figure]]:
    published = published_fauc(paper)
    for number, methods, objectives, deviation in (
        ("6", tuple(METHODS), OBJECTIVES, True),
        ("C.15", ("gp_unet", *VARIANTS), OBJECTIVES[:1], False),
    ):
        bars: dict[str, dict[str, dict[str, Bar]]] = {}
        lines: dict[str, dict[str, dict[str, float]]] = {}
        for digit, objective, method in itertools.product(DIGITS, objectives, methods):
            panel, cell = f"Digit {digit}", (objective, method, digit)
            lines.setdefault(panel, {}).setdefault(objective, {})[method] = published[cell][0]
            drawn = bars.setdefault(panel, {}).setdefault(objective, {})
            if bar := _bar(results, cell, deviation):
                drawn[method] = bar
        letters = dict(zip(methods, "ABCDEF", strict=False))
        names = {method: NAMES[method] for method in methods}
        figure = bars_figure(
            bars, letters, names, {each: f"ours, {each}" for each in objectives}, lines, "FAUC 0-5 (%)"
        )
        error = "standard deviation" if deviation else "95 % interval"
        crosses = "" if is_whole(results.evaluations) else "; × where nothing was run"
        caption = f"FAUC with its {error} over resampled test images; orange, the published value{crosses}"
        yield f"figure_{number}", caption, figure


def _bar(results: Results, cell: Cell, deviation: bool) -> Bar | None:
    """Return the mean FAUC over seeds in percent, with the mean standard deviation or interval."""
    value, low, high = figure_of(results, cell, "fauc")
    if value is None:
        return None
    if deviation:
        sd = mean(each["height"]["fauc"]["sd"] for each in results.evaluations[cell]) or 0.0
        low, high = value - sd, value + sd
    return 100 * value, (100 * (value if low is None else low), 100 * (value if high is None else high))


def _maps(results: Results) -> Iterator[tuple[str, str, Figure]]:
    shape, marked = (ROWS * SIDE, COLUMNS * SIDE), results.targets(4, "most")
    nothing = np.zeros((0, 2))
    image, *tiles = _row(results, 4, METHODS)
    rows = [[image, *tiles[:3]], [Tile("", None, "blank"), *tiles[3:]]]
    caption = (
        "Attention maps for digit 4 under regression, on the test image with the most targets, which are framed. Each "
        "map has its own scale, from zero to its 99.95th percentile"
    )
    yield "figure_4", caption, maps_figure(rows, [marked, marked], shape, SIDE)
    caption = (
        "GP-Unet's maps for digit 4, on a test image without targets (above) and the one with the most (below), each "
        "divided by the highest value of its network on the lower image and drawn by its cube root"
    )
    rows = [_objectives(results, which) for which in ("none", "most")]
    yield "figure_5", caption, maps_figure(rows, [nothing, marked], shape, SIDE)
    caption = (
        "Attention maps of GP-Unet and its variants for digits 1 and 4 under regression, on the test image with the "
        "most targets. Each map has its own scale, from zero to its 99.95th percentile. Max pooling trains the highest "
        "place of an image alone; elsewhere its map need only be lower"
    )
    rows = [_row(results, digit, ("gp_unet", *VARIANTS)) for digit in (1, 4)]
    yield "figure_C.16", caption, maps_figure(rows, [results.targets(1, "most"), marked], shape, SIDE)


def _row(results: Results, digit: int, methods: Iterable[str]) -> list[Tile]:
    """Return an image, and the maps of it that several methods make under regression."""
    tiles = [Tile(NAMES[method], results.maps.get(("regression", method, digit, "most"))) for method in methods]
    return [Tile(f"image, digit {digit}", results.images.get((digit, "most")), "image"), *tiles]


def _objectives(results: Results, which: str) -> list[Tile]:
    """Return a row of Figure 5: the image, both maps on scales of the image with targets, their difference."""
    shares: list[NDArray[np.float64] | None] = []
    for objective in ("classification", "regression"):
        attention, lower = (results.maps.get((objective, "gp_unet", 4, each)) for each in (which, "most"))
        if attention is None or lower is None:
            shares.append(None)
            continue
        share = attention / (float(lower.max()) or 1.0)
        # Kept to 8 bits: the lowest step, alone, would look like a plateau under the root.
        shares.append(np.where(share < 2 / 255, 0, share))
    first, second = shares
    difference = None if first is None or second is None else second - first
    return [
        Tile("image", results.images.get((4, which)), "image"),
        Tile("classification", first, "share"),
        Tile("regression", second, "share"),
        Tile("regression − classification", difference, "difference"),
    ]
