"""What the paper's text leaves open, computed both ways; and what its figures show, as numbers."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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
