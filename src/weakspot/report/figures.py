"""Figures, drawn without a display and written as SVG and PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
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
_DPI = 150


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
        False positives an image, and the lower and upper end of the sensitivity there.
    """

    name: str
    fp: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    band: NDArray[np.float64] | None = None


def froc_figure(curves: Sequence[Curve], max_fp: float, points: Sequence[tuple[str, float, float]] = ()) -> Figure:
    """Draw FROC curves from 0 to ``max_fp``, flat beyond their ends, and named points (fp, sensitivity)."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(4.2, 3.6), layout="constrained")
        axis = figure.subplots()
        for curve in curves:
            fp, sensitivity = (
                np.append(curve.fp, max(max_fp, curve.fp[-1])),
                np.append(curve.sensitivity, curve.sensitivity[-1]),
            )
            (line,) = axis.plot(fp, sensitivity, label=curve.name, linewidth=1.5)
            if curve.band is not None:
                axis.fill_between(*curve.band, color=line.get_color(), alpha=0.2, linewidth=0)
        for name, fp_avg, sensitivity_avg in points:
            axis.plot(fp_avg, sensitivity_avg, "^", color="black", markersize=7, label=name, linestyle="none")
        axis.set(
            xlim=(0, max_fp),
            ylim=(0, 1.01),
            xlabel="Average number of false positives per image",
            ylabel="Sensitivity",
        )
        axis.grid(alpha=0.25)
        axis.legend(loc="lower right", frameon=False)
    return figure


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write ``stem.svg`` and ``stem.png``."""
    paths = []
    for kind, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        path = stem.with_name(f"{stem.name}.{kind}")
        draw = partial(figure.savefig, format=kind, dpi=_DPI, metadata=metadata)
        with rc_context(_STYLE):
            write_atomically(path, draw)
        paths.append(path)
    return paths
