"""The figures of the MNIST study, from its records alone."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from weakspot.data.digit_pools import SIDE
from weakspot.report.study_figures import Bar, Tile, bars_figure, curves_figure, maps_figure
from weakspot.studies.claims import NAMES
from weakspot.studies.mnist import COMPARED, DIGITS, METHODS, VARIANTS, objective_of
from weakspot.studies.mnist_units import CURVE_FP
from weakspot.studies.results import Results
from weakspot.studies.units import Place

_NO_POINTS: NDArray[np.float64] = np.zeros((0, 2))


def figures(results: Results, place: Place, paper: Mapping[str, Any]) -> Iterator[tuple[str, str, Figure]]:
    """Yield the name of each figure of the paper of which there is anything to draw, a caption and the figure.

    Parameters
    ----------
    results : of `weakspot.studies.results.read_results`
    place : of the study, for the maps that were kept
    paper : the published tables
    """
    yield from _maps(results, place)
    yield from _bars(results, paper)
    for number, group in (("A.12", "regression"), ("B.13", "classification"), ("C.14", "architecture")):
        panels = {f"Digit {digit}": _curves(results, group, digit) for digit in DIGITS}
        if any(panels.values()):
            names = {method: NAMES[method] for method in COMPARED[group]}
            yield f"figure_{number}", f"FROC curves, {group}", curves_figure(panels, CURVE_FP, names)


def _curves(results: Results, group: str, digit: int) -> dict[str, NDArray[np.float64]]:
    objective = objective_of(group)
    found = {method: results.evaluations.get((objective, method, digit)) for method in COMPARED[group]}
    return {method: np.mean([each["curve"] for each in seeds], axis=0) for method, seeds in found.items() if seeds}


def _bars(results: Results, paper: Mapping[str, Any]) -> Iterator[tuple[str, str, Figure]]:
    objectives = {"regression": "regression", "classification": "classification"}
    for number, methods, series in (
        ("6", tuple(METHODS), objectives),
        ("C.15", ("gp_unet", *VARIANTS), {"regression": "regression"}),
    ):
        panels = {
            f"Digit {digit}": {
                objective: {
                    method: _bar(seeds, number == "6")
                    for method in methods
                    if (seeds := results.evaluations.get((objective, method, digit)))
                }
                for objective in series
                if any((objective, method, digit) in results.evaluations for method in methods)
            }
            for digit in DIGITS
        }
        groups = series if number == "6" else {"regression": "architecture"}
        published = {
            f"Digit {digit}": {
                objective: {
                    method: cell["value"]
                    for method, cell in paper[f"mnist_{groups[objective]}_fauc"]["values"][str(digit)].items()
                }
                for objective in series
            }
            for digit in DIGITS
        }
        if any(panels.values()):
            letters = dict(zip(methods, "ABCDEF", strict=False))
            names = {method: NAMES[method] for method in methods}
            error = "standard deviation" if number == "6" else "95 % interval"
            figure = bars_figure(panels, letters, names, series, published, "FAUC 0-5 (%)")
            yield f"figure_{number}", f"FAUC with its {error} over resampled test images", figure


def _bar(seeds: list[dict[str, Any]], deviation: bool) -> Bar:
    """Return the mean FAUC over seeds in percent, with the mean standard deviation or interval."""
    figures = [each["height"]["fauc"] for each in seeds]
    value = 100 * float(np.mean([each["value"] for each in figures]))
    if deviation:
        sd = 100 * float(np.mean([each["sd"] for each in figures]))
        return value, (value - sd, value + sd)
    low, high = 100 * np.mean([each["ci95"] for each in figures], axis=0)
    return value, (float(low), float(high))


def _maps(results: Results, place: Place) -> Iterator[tuple[str, str, Figure]]:
    kept = _Kept(results, place)
    marked = kept.targets(4, "most")
    tiles = [Tile(NAMES[method], kept.map("regression", method, 4, "most")) for method in METHODS]
    if _any(tiles):
        rows = [[Tile("image", kept.image(4, "most"), "image"), *tiles[:3]], [*tiles[3:], Tile("", None, "blank")]]
        caption = "Attention maps for digit 4, regression; each on its own scale from zero"
        yield "figure_4", caption, maps_figure(rows, [marked, _NO_POINTS], SIDE)
    rows = [_objectives(kept, which) for which in ("none", "most")]
    if _any(rows[1][1:]):
        caption = (
            "GP-Unet's maps for digit 4 on an image without it and one with the most. Difference: regression minus "
            "classification, each divided by its highest value on the lower image"
        )
        yield "figure_5", caption, maps_figure(rows, [_NO_POINTS, marked], SIDE)
    rows, points = [], []
    for digit in (1, 4):
        tiles = [Tile(NAMES[m], kept.map("regression", m, digit, "most")) for m in COMPARED["architecture"]]
        if _any(tiles):
            rows.append([Tile(f"image, digit {digit}", kept.image(digit, "most"), "image"), *tiles])
            points.append(kept.targets(digit, "most"))
    if rows:
        yield "figure_C.16", "Attention maps of GP-Unet's variants, regression", maps_figure(rows, points, SIDE)


def _any(tiles: list[Tile]) -> bool:
    return any(tile.pixels is not None for tile in tiles)


def _objectives(kept: "_Kept", which: str) -> list[Tile]:
    """Return a row of Figure 5: the image, both maps on scales of the image with targets, their difference."""
    shown = []
    for objective in ("classification", "regression"):
        attention, reference = (kept.map(objective, "gp_unet", 4, each) for each in (which, "most"))
        top = None if reference is None else float(reference.max()) or 1.0
        shown.append(None if attention is None or top is None else attention / top)
    first, second = shown
    difference = None if first is None or second is None else second - first
    return [
        Tile("image", kept.image(4, which), "image"),
        Tile("classification", first, "share"),
        Tile("regression", second, "share"),
        Tile("difference", difference, "difference"),
    ]


class _Kept:
    """The pictures beside the records."""

    def __init__(self, results: Results, place: Place) -> None:
        self.results, self.place = results, place

    def image(self, digit: int, which: str) -> NDArray[Any] | None:
        path = self.place.units / f"image-{digit}-{which}.png"
        return np.asarray(Image.open(path)) if path.exists() else None

    def map(self, objective: str, method: str, digit: int, which: str) -> NDArray[np.float64] | None:
        """Return the positive part of a map in the units of the network, to 8 bits."""
        path = self.place.units / f"evaluate-{objective}-{method}-{digit}-seed0-{which}.png"
        shown = self.results.evaluations.get((objective, method, digit), [{}])[0].get("shown", {}).get(which)
        if shown is None or not path.exists():
            return None
        levels = np.asarray(Image.open(path), float)
        return np.asarray(levels / 255 * shown["high"])

    def targets(self, digit: int, which: str) -> NDArray[np.float64]:
        """Return the centres (n, 2) of the targets."""
        for (_, _, number), seeds in self.results.evaluations.items():
            if number == digit and (shown := seeds[0].get("shown", {}).get(which)):
                return np.asarray(shown["targets"], float).reshape(-1, 2)
        return _NO_POINTS
