"""All figures of a set of detections, with the conventions that they hang on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakspot.evaluation.froc import area, curves, froc, increments
from weakspot.evaluation.matching import Reach, Scene
from weakspot.evaluation.operating_point import rounded, summary, tally
from weakspot.seeding import generator


def evaluate(
    scenes: Sequence[Scene],
    reach: Reach,
    max_fp: float,
    averaging: str = "image",
    counts: NDArray[np.float64] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Evaluate detections.

    Parameters
    ----------
    scenes : one an image
    reach : when a detection may count for an object
    max_fp : the curve's range of average false positives an image
    averaging : "image" (the paper's) or "object"
    counts : (images,) predicted counts
        Their rounded value selects the detections of the operating point; without them there is none.
    resamples : of the bootstrap over images
    seed : of the bootstrap

    Returns
    -------
    dict
        Fractions between 0 and 1; NaN where a figure is not defined. ``fauc, fauc_sd, fauc_ci95, curve, n_images,
        n_objects, conventions``, and with counts ``sensitivity, precision, fp_avg, fn_avg, count_mae, count_bias``.
    """
    found = increments(scenes, reach)
    curve = froc(found, averaging)
    rng = generator(seed, "bootstrap")
    faucs = []
    for chunk in np.array_split(np.arange(resamples), max(resamples * len(found.score) // 10_000_000, 1)):
        weights = rng.multinomial(len(scenes), np.full(len(scenes), 1 / len(scenes)), size=len(chunk)).astype(float)
        faucs += [
            area(fp, sensitivity, max_fp) for fp, sensitivity in zip(*curves(found, weights, averaging), strict=True)
        ]
    result: dict[str, Any] = {
        "fauc": area(curve.fp, curve.sensitivity, max_fp),
        "fauc_sd": float(np.nanstd(faucs, ddof=1)) if found.objects.any() else np.nan,
        "fauc_ci95": [float(q) for q in np.nanpercentile(faucs, [2.5, 97.5])] if found.objects.any() else [np.nan] * 2,
        "curve": {
            "fp": curve.fp.tolist(),
            "sensitivity": curve.sensitivity.tolist(),
            "threshold": [None, *curve.threshold[1:].tolist()],
        },
        "n_images": len(scenes),
        "n_objects": int(found.objects.sum()),
        "conventions": {
            "matching": "gated",
            "reach": reach.describe(),
            "averaging": averaging,
            "selection": "threshold",
            "max_fp": max_fp,
            "interval": f"95 % percentile, bootstrap over images, {resamples} resamples, seed {seed}",
        },
    }
    if counts is not None:
        result |= summary(tally(scenes, rounded(counts), reach), averaging)
        error = np.asarray(counts, float) - found.objects
        result |= {"count_mae": float(np.abs(error).mean()), "count_bias": float(error.mean())}
        result["conventions"]["operating_point"] = "the n best of each image, n its predicted count, half rounded up"
    return result
