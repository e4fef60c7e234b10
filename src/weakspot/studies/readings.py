"""What the paper's text leaves open, computed both ways; and what its figures show, as numbers."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from weakspot.data.digit_pools import SIDE
from weakspot.data.digits import COLUMNS, ROWS, Grids
from weakspot.evaluation import Conventions, evaluate
from weakspot.evaluation.conventions import CHOICES
from weakspot.scenes import make_scenes
from weakspot.studies.digits import MAX_FP, Found, examples

READINGS = {
    f"{matching} {averaging} {selection}": Conventions(
        matching, "inside", averaging=averaging, selection=selection, max_fp=MAX_FP, resamples=0
    )
    for matching, averaging, selection in itertools.product(
        *(CHOICES[choice] for choice in ("matching", "averaging", "selection"))
    )
}


def readings(found: Found, grids: Grids) -> dict[str, tuple[float, float, float, float]]:
    """Return ``fauc, sensitivity, fp_avg, fn_avg`` under each of `READINGS`, without intervals."""
    scenes = make_scenes(found.points, grids.truth, examples(grids, "test").ids, found.counts)
    results = {name: evaluate(*scenes, conventions) for name, conventions in READINGS.items()}
    return {
        name: (result.fauc.value, result.sensitivity.value, result.fp_avg.value, result.fn_avg.value)
        for name, result in results.items()
    }


def unevenness(maps: Sequence[NDArray[np.float32]], grids: Grids) -> dict[str, float]:
    """Measure what section 4.1 reads off Figure 5, by the highest value of the map in each cell (negative: zero).

    Returns
    -------
    dict
        ``spread``: the standard deviation over the targets of an image divided by their mean, averaged over images
        with several; 0 where each is highlighted alike. ``empty``: the highest value in images without a target
        divided by the mean value at targets, averaged; 0 where nothing is highlighted. NaN where not defined.
    """
    cells = np.stack([np.maximum(each, 0).reshape(ROWS, SIDE, COLUMNS, SIDE).max((1, 3)) for each in maps])
    target = grids.labels == grids.digit
    spreads = [
        values.std() / values.mean()
        for values in (cell[where] for cell, where in zip(cells, target, strict=True))
        if len(values) > 1 and values.mean() > 0
    ]
    at_targets = cells[target].mean() if target.any() else 0.0
    highest = cells[~target.any((1, 2))].max((1, 2))
    return {
        "spread": float(np.mean(spreads)) if spreads else float("nan"),
        "empty": float(highest.mean() / at_targets) if len(highest) and at_targets > 0 else float("nan"),
    }


class Shape(NamedTuple):
    """How a map lies on targets, the mean over them.

    Attributes
    ----------
    regions, area : of the map above half of its highest value in a target's cell, the number of connected regions and
        their share of the cell, 0-1
    dice : overlap with the object, 0-1, of the map above the threshold, a share of that highest value, for which it
        is highest
    """

    regions: float
    area: float
    dice: float


def shape_on_targets(attention: NDArray[Any], image: NDArray[Any], targets: NDArray[np.float64], side: int) -> Shape:
    """Measure what section 4.1 reads off Figure 4.

    Parameters
    ----------
    attention, image : (height, width); negative attention counts as zero, an object is brighter than half of 255
    targets : (n, 2) centres of the cells, whose sides have so many voxels
    """
    boxes = _boxes(targets, side)
    cells = np.stack([np.maximum(attention[box], 0) for box in boxes])
    shares = cells / np.maximum(cells.max((1, 2), keepdims=True), np.finfo(float).tiny)
    objects = np.stack([image[box] > 127 for box in boxes])
    high = shares >= 0.5

    def dice(threshold: float) -> float:
        found = shares >= threshold
        return float(np.mean(2 * (found & objects).sum((1, 2)) / (found.sum((1, 2)) + objects.sum((1, 2)))))

    regions = [label(each, np.ones((3, 3)))[1] for each in high]
    return Shape(float(np.mean(regions)), float(high.mean()), max(map(dice, np.linspace(0.05, 0.95, 19))))


def regions_above(
    attention: NDArray[Any], targets: NDArray[np.float64], side: int, levels: Sequence[float]
) -> list[int]:
    """Count the connected regions of a map (height, width) at or above each level outside of targets; diagonals count.

    Parameters
    ----------
    targets : (n, 2) centres of cells, whose sides have so many voxels
    """
    outside = np.ones(attention.shape, bool)
    for box in _boxes(targets, side):
        outside[box] = False
    return [int(label(outside & (attention >= level), np.ones((3, 3)))[1]) for level in levels]


def _boxes(targets: NDArray[np.float64], side: int) -> list[tuple[slice, slice]]:
    corners = np.rint(targets - (side - 1) / 2).astype(int)
    return [np.s_[y : y + side, x : x + side] for y, x in corners]


def convergence(training: Mapping[str, Any]) -> float:
    """Return after how many steps nine tenths of the fall of the validation loss are done, of a training's record."""
    steps, losses = (np.asarray(training["log"][name]) for name in ("step", "validation_loss"))
    return float(steps[np.argmax(losses <= losses.min() + 0.1 * (losses[0] - losses.min()))])


def roughness(training: Mapping[str, Any]) -> float:
    """Return all rises of the validation loss, of its fall from the first to the lowest; 0 where it never rises."""
    losses = np.asarray(training["log"]["validation_loss"])
    rises = np.maximum(np.diff(losses), 0).sum()
    return float(rises / fall) if (fall := losses[0] - losses.min()) > 0 else float(rises > 0)
