"""A picture of where regions were found in a scan: three planes through each, for quality control."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from nibabel.orientations import apply_orientation, io_orientation
from numpy.typing import NDArray

from weakspot.data.regions import RegionVolume
from weakspot.data.scans import Scan
from weakspot.files import write_atomically

_MASK, _BOX = "#E69F00", "#56B4E9"  # Okabe and Ito (2008)
# The axes left-right, back-front, down-up that each plane shows across and upwards, and the one that it cuts.
_PLANES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
_ENDS = (("L", "R"), ("P", "A"), ("I", "S"))
_DPI = 110


def region_figure(scan: Scan, regions: Mapping[str, RegionVolume], title: str) -> Figure:
    """Draw, a row a region, the axial, coronal and sagittal plane that has most of its mask.

    The mask is outlined, the volume that was cut out is a box, and letters say which way is which (left is on the
    left). Pixels are as high and as wide as the scan's spacing has them.
    """
    turn = io_orientation(scan.placed)
    order = np.argsort(turn[:, 0])
    spacing = scan.spacing_mm[order]
    values = apply_orientation(scan.values, turn)
    low, high = np.percentile(values[values != 0] if values.any() else values, [0.5, 99.5])
    with rc_context({"font.size": 9}):
        figure = Figure(figsize=(9, 3.1 * len(regions) + 0.4), layout="constrained")
        figure.suptitle(title.replace("$", r"\$"))
        rows = figure.subplots(len(regions), 3, squeeze=False)
        for (name, region), row in zip(regions.items(), rows, strict=True):
            mask = apply_orientation(region.mask, turn)
            # The middle of a region of two halves lies between them.
            areas = [mask.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3)]
            fullest = [int(area.argmax()) for area in areas]
            size = np.array(region.values.shape)
            start = np.where(turn[:, 1] > 0, region.start, np.array(scan.values.shape) - region.start - size)
            box = start[order], size[order]
            for (plane, axes), axis in zip(_PLANES.items(), row, strict=True):
                _draw(axis, values, mask, fullest[axes[2]], axes, spacing, box, (low, high))
                axis.set_title(f"{name.replace('_', ' ')}, {plane}")
    return figure


def draw_regions(path: Path, scan: Scan, regions: Mapping[str, RegionVolume]) -> None:
    """Write the picture of a scan's regions as PNG, whole or not at all; the file's name is its title."""
    figure = region_figure(scan, regions, path.stem)
    write_atomically(path, partial(figure.savefig, format="png", dpi=_DPI, metadata={"Software": None}))


def _draw(
    axis: Any,
    values: NDArray[np.float32],
    mask: NDArray[np.bool_],
    place: int,
    axes: tuple[int, int, int],
    spacing: NDArray[np.float64],
    box: tuple[NDArray[np.int64], NDArray[np.int64]],
    limits: tuple[float, float],
) -> None:
    across, upwards, cut = axes
    start, size = box
    aspect = float(spacing[upwards] / spacing[across])
    axis.imshow(
        np.take(values, place, cut).T, cmap="gray", vmin=limits[0], vmax=limits[1], origin="lower", aspect=aspect
    )
    outline = np.take(mask, place, cut).T
    if outline.any():
        axis.contour(outline, levels=[0.5], colors=_MASK, linewidths=0.9)
    corner = (start[across] - 0.5, start[upwards] - 0.5)
    axis.add_patch(
        Rectangle(corner, size[across], size[upwards], fill=False, edgecolor=_BOX, linewidth=1, linestyle="--")
    )
    width, height = values.shape[across], values.shape[upwards]
    axis.set(xlim=(-0.5, width - 0.5), ylim=(-0.5, height - 0.5))
    ends = zip((*_ENDS[across], *_ENDS[upwards]), ((0.02, 0.5), (0.98, 0.5), (0.5, 0.03), (0.5, 0.97)), strict=True)
    for letter, (x, y) in ends:
        text = axis.text(x, y, letter, color="white", transform=axis.transAxes, ha="center", va="center", fontsize=8)
        text.set_path_effects([withStroke(linewidth=2, foreground="black")])
    axis.set_axis_off()
