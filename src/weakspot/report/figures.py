"""Figures, drawn without a display and written as SVG and PNG."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from weakspot.files import write_atomically

_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "weakspot",  # same figure, same bytes
}
# Okabe and Ito (2008), which colour-blind readers tell apart.
_HIT, _MISS, _FALSE = "#56B4E9", "#E69F00", "#D55E00"
_CURVES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DPI = 150
_BAND = 0.15
_POINT: Any = {"color": "white", "markeredgecolor": "black", "markersize": 6, "zorder": 3, "clip_on": False}
_DASHES = ("-", "--", "-.", ":")  # curves can be told apart in print, too


@dataclass(frozen=True, eq=False)
class Panel:
    """One 2D image with what was found in it.

    Attributes
    ----------
    image, attention : (height, width)
    truth, found : (n, 2)
        Points as (y, x) voxel indices.
    hits : (len(found),) bool
        Which detections are true.
    title : str
    """

    image: NDArray[Any]
    attention: NDArray[Any]
    truth: NDArray[np.float64]
    found: NDArray[np.float64]
    hits: NDArray[np.bool_]
    title: str


def detections_figure(panels: Sequence[Panel], extent_vox: float) -> Figure:
    """Draw images above their attention maps, with truth and detections on both (as in the paper's Fig. 4).

    Truth is a square of side ``extent_vox``; a detection is a circle if it is a hit and a diamond if it is not, both
    hollow, since a peak is often smaller than a mark. Maps share one scale, from zero: negative values are drawn as
    zero, as detection has them (3.6).
    """
    height, width = panels[0].image.shape
    # The few highest voxels would leave the rest black.
    top = float(np.quantile(np.concatenate([panel.attention.ravel() for panel in panels]), 0.9995)) or 1.0
    with rc_context(_STYLE):
        figure = Figure(figsize=(1.9 * len(panels), 3.6 * height / width + 0.5), layout="constrained")
        axes = figure.subplots(2, len(panels), squeeze=False)
        for panel, column in zip(panels, axes.T, strict=True):
            column[0].imshow(panel.image, cmap="gray")
            shown = column[1].imshow(np.maximum(panel.attention, 0), cmap="inferno", vmin=0, vmax=top)
            column[0].set_title(panel.title)
            for axis in column:
                _mark(axis, panel, extent_vox)
                high, wide = panel.image.shape
                axis.set(xlim=(-0.5, wide - 0.5), ylim=(high - 0.5, -0.5))  # marks at the border widen them
                axis.set_axis_off()
        figure.colorbar(shown, ax=axes[1, :].tolist(), label="attention", fraction=0.02, pad=0.01)
        marks = [
            Line2D([], [], color=_MISS, marker="s", fillstyle="none", linestyle="none", label="object"),
            Line2D([], [], color=_HIT, marker="o", fillstyle="none", linestyle="none", label="detection, hit"),
            Line2D([], [], color=_FALSE, marker="D", fillstyle="none", linestyle="none", label="detection, false"),
        ]
        figure.legend(handles=marks, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _mark(axis: Any, panel: Panel, extent_vox: float) -> None:
    for y, x in panel.truth:
        corner = (x - extent_vox / 2, y - extent_vox / 2)
        axis.add_patch(Rectangle(corner, extent_vox, extent_vox, fill=False, edgecolor=_MISS, linewidth=1))
    for chosen, colour, marker in ((panel.hits, _HIT, "o"), (~panel.hits, _FALSE, "D")):
        y, x = panel.found[chosen].T
        axis.plot(x, y, marker, color=colour, fillstyle="none", markersize=8, markeredgewidth=1.2)


@dataclass(frozen=True, eq=False)
class Curve:
    """One FROC curve, with the band of its resamples where there is one.

    Attributes
    ----------
    name : str
    fp, sensitivity : (n,)
        Average number of false positives an image, and sensitivity (0-1).
    band : (3, m) or None
        False positives an image, and the lower and upper end of the sensitivity's 95 % interval there.
    point : (fp, sensitivity) or None
        An operating point, drawn in the curve's colour.
    """

    name: str
    fp: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    band: NDArray[np.float64] | None = None
    point: tuple[float, float] | None = None


def froc_figure(
    curves: Sequence[Curve], max_fp: float, points: Sequence[tuple[str, float, float]] = (), operating: str = ""
) -> Figure:
    """Draw FROC curves from 0 to ``max_fp`` or the last point, flat beyond their ends, as in the paper's Fig. 7.

    Parameters
    ----------
    points : named (fp, sensitivity), such as those of raters, drawn as triangles
    operating : what the curves' operating points are, for the legend
    """
    places = [fp for _, fp, _ in points] + [curve.point[0] for curve in curves if curve.point is not None]
    last = max([max_fp, *(1.05 * fp for fp in places if fp > max_fp)])
    banded = any(np.isfinite(curve.band[1:]).any() for curve in curves if curve.band is not None)
    with rc_context(_STYLE):
        entries = len(curves) + len(points) + bool(operating) + banded
        figure = Figure(figsize=(4.6, 3.7 + 0.2 * ((entries + 1) // 2)), layout="constrained")
        axis = figure.subplots()
        axis.set_prop_cycle(color=_CURVES)
        for curve, dashes in zip(curves, itertools.cycle(_DASHES)):
            fp, sensitivity = (
                np.append(curve.fp, max(last, curve.fp[-1])),
                np.append(curve.sensitivity, curve.sensitivity[-1]),
            )
            (line,) = axis.plot(fp, sensitivity, label=_plain(curve.name), linewidth=1.5, linestyle=dashes)
            if curve.band is not None:
                axis.fill_between(*curve.band, color=line.get_color(), alpha=_BAND, linewidth=0)
            if curve.point is not None:
                axis.plot(*curve.point, "o", **{**_POINT, "color": line.get_color()})
        for (name, *place), marker in zip(points, itertools.cycle("^v")):
            axis.plot(*place, marker, color="black", markersize=7, label=_plain(name), linestyle="none", clip_on=False)
        axis.set(
            xlim=(0, last),
            ylim=(0, 1.01),
            xlabel="Average number of false positives per image",
            ylabel="Sensitivity",
        )
        axis.grid(alpha=0.25)
        handles, _ = axis.get_legend_handles_labels()
        if operating:  # not drawn among the axes, where an empty line would upset the layout
            mark = Line2D([], [], marker="o", linestyle="none", **_POINT, label=_plain(operating))
            handles.insert(len(curves), mark)
        if banded:
            handles.append(Patch(color="black", alpha=_BAND, linewidth=0, label="95 % interval"))
        # Wherever it stood among the axes, there could be a curve.
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _plain(label: str) -> str:
    """Return a label that is drawn as it stands: a dollar begins no formula."""
    return label.replace("$", r"\$")


def save(figure: Figure, stem: Path, dpi: int = _DPI) -> list[Path]:
    """Write ``stem.svg`` and ``stem.png``, the latter with so many dots an inch."""
    paths = []
    for kind, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        path = stem.with_name(f"{stem.name}.{kind}")
        draw = partial(figure.savefig, format=kind, dpi=dpi, metadata=metadata)
        with rc_context(_STYLE):
            write_atomically(path, draw)
        paths.append(path)
    return paths
