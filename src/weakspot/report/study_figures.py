"""Figures of a study over many rows (digits, regions): bars, FROC curves and maps, in the paper's layouts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.cm import ScalarMappable
from matplotlib.colors import FuncNorm, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle
from matplotlib.patheffects import withStroke
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
    ("#000000", (0, (2.5, 1.2))),
    ("#009E73", (0, (5, 1.5))),
    ("#D55E00", "-"),
    ("#CC79A7", (0, (1, 1))),
    ("#E69F00", (0, (4, 1, 1, 1))),
    ("#56B4E9", "-"),
)
_ABSENT = "#777777"
_RATER = "#117733"
_PUBLISHED: Any = {  # across its own bar, of which it is told apart by an edge
    "color": "#D55E00",
    "linewidth": 1.4,
    "solid_capstyle": "butt",
    "path_effects": [withStroke(linewidth=2.4, foreground="white")],
}
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
    published : as ``panels``, the heights alone, drawn as lines across the bars
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
                        on_top: dict[str, Any] = {"linestyle": "none", "zorder": 4}
                        axis.errorbar(middle, height, error, ecolor="#D0D0D0", elinewidth=1.8, **on_top)  # on dark bars
                        axis.errorbar(
                            middle, height, error, ecolor="black", elinewidth=0.8, capsize=1.8, capthick=0.8, **on_top
                        )
                    else:
                        axis.plot(middle, 3, "x", color=_ABSENT, markersize=3.5, markeredgewidth=0.8)
                    if (theirs := published.get(title, {}).get(series, {}).get(method)) is not None:
                        ends = [middle - 0.45 * width, middle + 0.45 * width]
                        axis.plot(ends, [theirs, theirs], zorder=3, **_PUBLISHED)
            axis.set(ylim=(0, 104), xticks=range(len(letters)), xticklabels=list(letters.values()))
            axis.set_yticks(range(0, 101, 25))
            axis.tick_params(axis="x", length=0)
            axis.set_axisbelow(True)
            axis.grid(axis="y", alpha=0.25, linewidth=0.5)
            _say_not_run(axis, [] if any(found.values()) else ["all"], 0.1)
        figure.supylabel(label, fontsize=8)
        figure.supxlabel("   ".join(f"{letter}: {methods[method]}" for method, letter in letters.items()), fontsize=8)
        marks: list[Any] = [
            Patch(color=colour, label=name) for name, colour in zip(names.values(), _BARS, strict=False)
        ]
        marks.append(Line2D([], [], label="published", **_PUBLISHED))
        if any(
            method not in found.get(series, {}) for found in panels.values() for series in names for method in letters
        ):
            marks.append(Line2D([], [], color=_ABSENT, marker="x", markersize=4, linestyle="none", label="not run"))
        _legend(figure, marks)
    return _laid_out(figure)


def curves_figure(
    panels: Mapping[str, Mapping[str, NDArray[Any]]],
    fp: NDArray[Any],
    names: Mapping[str, str],
    points: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    title: str = "",
    columns: int = _COLUMNS,
) -> Figure:
    """Draw FROC curves, a panel for each row (the paper's Fig. 7, A.12, B.13, C.14).

    Parameters
    ----------
    panels : title of the panel -> method -> sensitivity (n,) 0-1; what was not run is left out
    fp : (n,) average number of false positives per image
    names : method -> its name in the legend
    points : title of the panel -> (false positives, sensitivity) of raters, drawn as triangles
    title : of the figure
    columns : of panels
    """
    last = int(fp[-1])
    with rc_context(_STYLE):
        figure, axes = _panels(list(panels), 1.6 if columns == _COLUMNS else 2.6, columns)
        for (panel, found), axis in zip(panels.items(), axes, strict=True):
            for place in (points or {}).get(panel, ()):
                axis.plot(*place, "^", color=_RATER, markersize=5, zorder=4)
            for method, (colour, dashes) in zip(names, _LINES, strict=False):
                if method in found:
                    axis.plot(fp, found[method], color=colour, linestyle=dashes, linewidth=1.1)
            axis.set(xlim=(0, float(fp[-1])), ylim=(0, 1.02), xticks=range(0, last + 1, max(last // 5, 1)))
            axis.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
            axis.grid(alpha=0.25, linewidth=0.5)
            _say_not_run(axis, [name for method, name in names.items() if method not in found] if found else ["all"])
        figure.supxlabel("Average number of false positives per image", fontsize=8)
        figure.supylabel("Sensitivity", fontsize=8)
        marks: list[Any] = [
            Line2D([], [], color=colour, linestyle=dashes, linewidth=1.4, label=name)
            for name, (colour, dashes) in zip(names.values(), _LINES, strict=False)
        ]
        if points:
            marks.append(
                Line2D([], [], color=_RATER, marker="^", markersize=5, linestyle="none", label="simulated rater")
            )
        _legend(figure, marks, title)
    return _laid_out(figure)


def _legend(figure: Figure, marks: list[Any], title: str = "") -> None:
    """Put one row above the panels, tight enough for six names, more in two."""
    spacing: dict[str, Any] = {"columnspacing": 1.0, "handlelength": 1.8, "handletextpad": 0.5, "fontsize": 7.5}
    figure.legend(
        handles=marks,
        loc="outside upper center",
        ncols=len(marks) if len(marks) < 7 else (len(marks) + 1) // 2,
        frameon=False,
        title=title or None,
        **spacing,
    )


def _laid_out(figure: Figure) -> Figure:
    """Lay a figure out once, rather than each time that it is written."""
    with rc_context(_STYLE):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _panels(titles: Sequence[str], height: float, columns: int = _COLUMNS) -> tuple[Figure, list[Any]]:
    rows = -(-len(titles) // columns)
    figure = Figure(figsize=(_WIDTH, height * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, min(columns, len(titles)), sharex=True, sharey=True, squeeze=False).ravel().tolist()
    for title, axis in zip(titles, axes, strict=False):
        axis.set_title(title, pad=3)
    for axis in axes[len(titles) :]:
        axis.set_axis_off()
    return figure, axes[: len(titles)]


def _say_not_run(axis: Any, missing: Sequence[str], height: float = 0.05) -> None:
    """Say in a panel what is missing of it: these names, or all."""
    if missing:
        text = "not run" if missing == ["all"] else "\n".join(["not run:", *missing])
        place = {"transform": axis.transAxes, "ha": "right", "va": "bottom", "fontsize": 6.5, "linespacing": 1.1}
        axis.text(0.97, height, text, color=_ABSENT, zorder=0, **place)


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a figure of maps.

    Attributes
    ----------
    title : above it
    pixels : (height, width), None for one that was not run
    kind : "image" (grey, the targets marked), "map" (from zero to its own 99.95th percentile), "share" (from 0 to 1,
        drawn by its cube root), "difference" (of shares, drawn likewise) or "blank" (pixels None: an empty place)
    """

    title: str
    pixels: NDArray[Any] | None
    kind: str = "map"


def maps_figure(
    rows: Sequence[Sequence[Tile]],
    marked: Sequence[NDArray[Any]],
    shape: tuple[int, int],
    extent_vox: float,
    circled: bool = False,
    title: str = "",
) -> Figure:
    """Draw images, maps and differences of maps (the paper's Fig. 4, 5, 8-11, C.16), with a bar for each scale.

    Negative values of maps are drawn as zero, as detection has them (3.6). A difference of zero is white, and all
    differences of a figure share the scale.

    Parameters
    ----------
    rows : of tiles, as many in each
    marked : for each row the centres (n, 2) of the targets, drawn as squares, thin ones on maps
    shape : (height, width) of the pictures
    extent_vox : side of the squares
    circled : whether circles, of that diameter, are drawn instead
    title : of the figure
    """
    height, width = shape
    tiles = [tile for row in rows for tile in row]
    differences = [np.abs(tile.pixels).max() for tile in tiles if tile.kind == "difference" and tile.pixels is not None]
    scales: dict[str, Any] = {
        "map": (Normalize(0, 1), "inferno", "attention (share of each map's 99.95th percentile)"),
        "share": (PowerNorm(1 / 3, 0, 1), "inferno", "attention (share of the highest on the lower image)"),
        "difference": (_signed_root(max(differences, default=1.0)), "PuOr_r", "difference of the shares"),
    }
    columns = len(rows[0])
    tall = _WIDTH / columns * height / width + 0.17  # inches
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, tall * len(rows) + 0.45), layout="constrained")
        figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02)
        if title:
            figure.suptitle(title, fontsize=9)
        grid = figure.add_gridspec(len(rows) + 1, columns, height_ratios=[*[tall] * len(rows), 0.1])
        for row, (line, points) in enumerate(zip(rows, marked, strict=True)):
            for column, tile in enumerate(line):
                axis = figure.add_subplot(grid[row, column])
                axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal", xticks=[], yticks=[])
                axis.set_title(tile.title, pad=2, fontsize=8)
                axis.spines[:].set(visible=tile.pixels is None and tile.kind != "blank", color=_ABSENT)
                _draw(axis, tile, points, extent_vox, scales, circled)
        for kind in dict.fromkeys(tile.kind for tile in tiles if tile.kind in scales):
            norm, colours, label = scales[kind]
            under = [column for column, tile in enumerate(rows[-1]) if tile.kind == kind]
            bar = figure.colorbar(
                ScalarMappable(norm, colours),
                cax=figure.add_subplot(grid[-1, under[0] : under[-1] + 1]),
                orientation="horizontal",
                label=label,
                extend="max" if kind == "map" else "neither",
            )
            bar.outline.set_linewidth(0.4)
    return _laid_out(figure)


def _draw(
    axis: Any, tile: Tile, points: NDArray[Any], extent_vox: float, scales: Mapping[str, Any], circled: bool
) -> None:
    if tile.kind == "blank":
        return
    if tile.pixels is None:
        axis.text(0.5, 0.5, "not run", transform=axis.transAxes, ha="center", va="center", color=_ABSENT)
    elif tile.kind == "image":
        axis.imshow(tile.pixels, cmap="gray", interpolation="nearest")
    else:
        norm, colours, _ = scales[tile.kind]
        pixels = tile.pixels if tile.kind == "difference" else np.maximum(tile.pixels, 0)
        if tile.kind == "map":
            # The few highest voxels would leave the rest black.
            pixels = pixels / (float(np.quantile(pixels, 0.9995)) or float(pixels.max()) or 1.0)
        axis.imshow(pixels, cmap=colours, norm=norm, interpolation="nearest")
    if tile.pixels is None or tile.kind == "difference":
        return
    line: dict[str, Any] = {"fill": False, "edgecolor": "#E69F00", "linewidth": 1.0}
    if tile.kind != "image":
        line |= {"edgecolor": "white", "linewidth": 0.4, "alpha": 0.6}
    for y, x in points:
        corner = (x - extent_vox / 2, y - extent_vox / 2)
        axis.add_patch(
            Circle((x, y), extent_vox / 2, **line) if circled else Rectangle(corner, extent_vox, extent_vox, **line)
        )


def _signed_root(highest: float) -> FuncNorm:
    """Return a scale from -highest to highest by the cube root, as maps of kind "share" have it."""
    return FuncNorm((np.cbrt, lambda roots: roots**3), -highest, highest)
