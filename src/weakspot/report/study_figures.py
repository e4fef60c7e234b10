"""Figures of a study over many rows (digits, regions): bars, FROC curves and maps, in the paper's layouts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 8,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "weakspot",  # same figure, same bytes
}
_COLUMNS = 5  # of panels, as in the paper
_WIDTH = 7.2  # inches: two columns of a journal
# Okabe and Ito (2008), which colour-blind readers tell apart; lines also differ in their dashes.
_LINES: tuple[tuple[str, Any], ...] = (
    ("#0072B2", "-"),
    ("#000000", "-"),
    ("#009E73", (0, (5, 1.5))),
    ("#D55E00", "-"),
    ("#CC79A7", (0, (1, 1))),
    ("#E69F00", (0, (4, 1, 1, 1))),
)
# The paper's light blue and indigo, as in the colour-blind safe set of P. Tol.
_BARS = ("#88CCEE", "#332288", "#DDCC77")

Bar = tuple[float, tuple[float, float]]  # height, and lower and upper end of its error bar


def bars_figure(
    panels: Mapping[str, Mapping[str, Mapping[str, Bar]]],
    letters: Mapping[str, str],
    methods: Mapping[str, str],
    names: Mapping[str, str],
    published: Mapping[str, Mapping[str, Mapping[str, float]]],
    label: str,
) -> Figure:
    """Draw groups of bars with error bars, a panel for each row (the paper's Fig. 6 and C.15).

    Parameters
    ----------
    panels : title of the panel -> series -> method -> bar, in percent; what was not run is left out
    letters : method -> its letter on the axis
    methods : method -> its name, below the panels
    names : series -> its name in the legend
    published : as ``panels``, the heights alone, drawn as lines
    label : of the vertical axis
    """
    with rc_context(_STYLE):
        figure, axes = _panels(list(panels), 1.55)
        width = 0.8 / len(names)
        for (title, found), axis in zip(panels.items(), axes, strict=True):
            for place, (series, colour) in enumerate(zip(names, _BARS, strict=False)):
                for x, method in enumerate(letters):
                    middle = x + (place - (len(names) - 1) / 2) * width
                    if (bar := found.get(series, {}).get(method)) is not None:
                        height, (low, high) = bar
                        axis.bar(middle, height, width, color=colour)
                        error = [[max(height - low, 0)], [max(high - height, 0)]]
                        axis.errorbar(middle, height, error, color="#808080", linewidth=0.9, capsize=1.5)
                    if (theirs := published.get(title, {}).get(series, {}).get(method)) is not None:
                        ends = (middle - width / 2, middle + width / 2)
                        axis.plot(ends, (theirs, theirs), color="#D55E00", linewidth=1.2, solid_capstyle="butt")
            axis.set(ylim=(0, 104), xticks=range(len(letters)), xticklabels=list(letters.values()))
            axis.set_yticks(range(0, 101, 25))
            axis.tick_params(axis="x", length=0)
            axis.set_axisbelow(True)
            axis.grid(axis="y", alpha=0.25, linewidth=0.5)
            _say_not_run(axis, found)
        figure.supylabel(label, fontsize=8)
        figure.supxlabel("   ".join(f"{letter}: {methods[method]}" for method, letter in letters.items()), fontsize=8)
        marks: list[Any] = [
            Patch(color=colour, label=name) for name, colour in zip(names.values(), _BARS, strict=False)
        ]
        marks.append(Line2D([], [], color="#D55E00", linewidth=1.5, label="published"))
        _legend(figure, marks)
    return _laid_out(figure)


def curves_figure(
    panels: Mapping[str, Mapping[str, NDArray[Any]]],
    fp: NDArray[Any],
    names: Mapping[str, str],
) -> Figure:
    """Draw FROC curves, a panel for each row (the paper's Fig. A.12, B.13, C.14).

    Parameters
    ----------
    panels : title of the panel -> method -> sensitivity (n,) 0-1; what was not run is left out
    fp : (n,) average number of false positives per image
    names : method -> its name in the legend
    """
    with rc_context(_STYLE):
        figure, axes = _panels(list(panels), 1.6)
        for found, axis in zip(panels.values(), axes, strict=True):
            for method, (colour, dashes) in zip(names, _LINES, strict=False):
                if method in found:
                    axis.plot(fp, found[method], color=colour, linestyle=dashes, linewidth=1.1)
            axis.set(xlim=(0, float(fp[-1])), ylim=(0, 1.02), xticks=range(int(fp[-1]) + 1))
            axis.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
            axis.grid(alpha=0.25, linewidth=0.5)
            _say_not_run(axis, found)
        figure.supxlabel("Average number of false positives per image", fontsize=8)
        figure.supylabel("Sensitivity", fontsize=8)
        marks: list[Any] = [
            Line2D([], [], color=colour, linestyle=dashes, linewidth=1.4, label=name)
            for name, (colour, dashes) in zip(names.values(), _LINES, strict=False)
        ]
        _legend(figure, marks)
    return _laid_out(figure)


def _legend(figure: Figure, marks: list[Any]) -> None:
    """Put one row above the panels, tight enough for six names."""
    spacing: dict[str, Any] = {"columnspacing": 1.0, "handlelength": 1.8, "handletextpad": 0.5, "fontsize": 7.5}
    figure.legend(handles=marks, loc="outside upper center", ncols=len(marks), frameon=False, **spacing)


def _laid_out(figure: Figure) -> Figure:
    """Lay a figure out once, rather than each time that it is written."""
    with rc_context(_STYLE):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _panels(titles: Sequence[str], height: float) -> tuple[Figure, list[Any]]:
    rows = -(-len(titles) // _COLUMNS)
    figure = Figure(figsize=(_WIDTH, height * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, min(_COLUMNS, len(titles)), sharex=True, sharey=True, squeeze=False).ravel().tolist()
    for title, axis in zip(titles, axes, strict=False):
        axis.set_title(title, pad=3)
    for axis in axes[len(titles) :]:
        axis.set_axis_off()
    return figure, axes[: len(titles)]


def _say_not_run(axis: Any, found: Mapping[str, Any]) -> None:
    if not found:
        patch = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # published values may lie below
        axis.text(0.5, 0.08, "not run", transform=axis.transAxes, ha="center", color="#777777", bbox=patch, zorder=3)


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a figure of maps.

    Attributes
    ----------
    title : above it
    pixels : (height, width), None for a place left empty
    kind : "image" (grey, the targets marked), "map" (from zero to its own highest values), "share" (from 0 to 1),
        "difference" (of shares) or "blank"
    """

    title: str
    pixels: NDArray[Any] | None
    kind: str = "map"


def maps_figure(rows: Sequence[Sequence[Tile]], marked: Sequence[NDArray[Any]], extent_vox: float) -> Figure:
    """Draw images, maps and differences of maps (the paper's Fig. 4, 5, C.16).

    Negative values of maps are drawn as zero, as detection has them (3.6); a difference of zero is white.

    Parameters
    ----------
    rows : of tiles, as many in each
    marked : for each row the centres (n, 2) of the targets, drawn as squares on images of kind "image"
    extent_vox : side of the squares
    """
    height, width = next(tile.pixels.shape for row in rows for tile in row if tile.pixels is not None)
    side = _WIDTH / len(rows[0])
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, (side * height / width + 0.2) * len(rows)), layout="constrained")
        figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02)
        axes = figure.subplots(len(rows), len(rows[0]), squeeze=False)
        for tiles, line, points in zip(rows, axes, marked, strict=True):
            for tile, axis in zip(tiles, line, strict=True):
                axis.set_axis_off()
                axis.set_title(tile.title, pad=2, fontsize=8)
                axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
                _draw(axis, tile, points, extent_vox)
    return _laid_out(figure)


def _draw(axis: Any, tile: Tile, points: NDArray[Any], extent_vox: float) -> None:
    if tile.kind == "blank":
        return
    if tile.pixels is None:
        axis.text(0.5, 0.5, "not run", transform=axis.transAxes, ha="center", va="center", color="#777777")
    elif tile.kind == "image":
        axis.imshow(tile.pixels, cmap="gray", interpolation="nearest")
        for y, x in points:
            corner = (x - extent_vox / 2, y - extent_vox / 2)
            axis.add_patch(Rectangle(corner, extent_vox, extent_vox, fill=False, edgecolor="#E69F00", linewidth=1.0))
    elif tile.kind == "difference":
        axis.imshow(tile.pixels, cmap="PuOr_r", vmin=-1, vmax=1, interpolation="nearest")
    else:
        # The few highest voxels would leave the rest black.
        top = 1.0 if tile.kind == "share" else float(np.quantile(tile.pixels, 0.9995)) or 1.0
        axis.imshow(np.maximum(tile.pixels, 0), cmap="inferno", vmin=0, vmax=top, interpolation="nearest")
