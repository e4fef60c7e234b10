"""How fast detections are evaluated: a Markdown table, with what the issue of each row asks for.

Run ``python benchmarks/evaluation.py``; the row against MONAI needs ``pip install -e '.[bench]'``. One core is used.
"""

import os

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"

import platform  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from importlib.metadata import version  # noqa: E402
from importlib.util import find_spec  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from weakspot import __version__  # noqa: E402
from weakspot.evaluation import Conventions, detections_of, evaluate, truth_of  # noqa: E402
from weakspot.evaluation.bootstrap import Resampled, bootstrap  # noqa: E402
from weakspot.evaluation.froc import froc, resampled_figures  # noqa: E402
from weakspot.evaluation.sweep import Sweep, sweep  # noqa: E402

IMAGES, CANDIDATES, OBJECTS = 1000, 100, 5
MAX_FP = 5.0
Points = list[np.ndarray]


def scene(seed: int = 0, side: float = 100) -> tuple[Points, Points, Points]:
    """Give objects, detections and scores: each object has one detection near it, all others lie anywhere."""
    rng = np.random.default_rng(seed)
    objects = list(rng.uniform(0, side, (IMAGES, OBJECTS, 2)))
    near = [each + rng.normal(0, 3, each.shape) for each in objects]
    points = [np.concatenate([each, rng.uniform(0, side, (CANDIDATES - OBJECTS, 2))]) for each in near]
    scores = [np.concatenate([rng.normal(1.5, 1, OBJECTS), rng.normal(0, 1, CANDIDATES - OBJECTS)]) for _ in near]
    return objects, points, scores


def fauc(objects: Points, points: Points, scores: Points, conventions: Conventions) -> tuple[float, Sweep]:
    """Evaluate from arrays to the area, input checks included."""
    truth = truth_of(objects)
    ordered = sweep(detections_of(points, scores, truth), truth, conventions)
    return froc(ordered, conventions.averaging).area(MAX_FP), ordered


def with_intervals(objects: Points, points: Points, scores: Points, conventions: Conventions) -> Resampled:
    """Evaluate from arrays to the area and its bootstrap."""
    _, ordered = fauc(objects, points, scores, conventions)

    def statistic(weights: np.ndarray) -> np.ndarray:
        return resampled_figures(ordered, weights, conventions.averaging, MAX_FP, ())

    return bootstrap(statistic, np.arange(len(objects)), conventions)


def recomputed(objects: Points, points: Points, scores: Points, rows: np.ndarray) -> list[float]:
    """Evaluate resamples the plain way: repeat the images and start anew."""
    drawn = [np.repeat(np.arange(len(objects)), row.astype(int)) for row in rows]
    chosen = [[[each[i] for i in draw] for each in (objects, points, scores)] for draw in drawn]
    return [fauc(*parts, Conventions())[0] for parts in chosen]


def seconds(run: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """Return the shortest time of several runs, and the result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
    return min(times), result


def rows() -> list[tuple[str, str, str]]:
    """Measure; each row is a figure, its target and what came out."""
    from weakspot.evaluation.bootstrap import draw_weights

    data = scene()
    table = []
    size = f"{IMAGES:,} images, {CANDIDATES} candidates, {OBJECTS} objects each"
    plain, (_, ordered) = seconds(lambda: fauc(*data, Conventions()))
    table.append((f"FROC and FAUC, {size}, `gated` at every point", "2 s", f"{plain:.2f} s"))
    for rule in ("greedy", "paper"):
        other, _ = seconds(lambda rule=rule: fauc(*data, Conventions(matching=rule)), 1)
        table.append((f"the same, `{rule}`", "-", f"{other:.2f} s"))

    whole, resampled = seconds(lambda: with_intervals(*data, Conventions()))
    few = next(draw_weights(np.arange(IMAGES), 1000, 0))[:5]
    slow, expected = seconds(lambda: recomputed(*data, few), 1)
    np.testing.assert_allclose(resampled.resamples[:5, 0], expected)
    slow *= 1000 / len(few)
    table.append(("the same with 1,000 bootstrap resamples, `gated`", "5 s", f"{whole:.2f} s"))
    table.append(
        ("against recomputing each resample", "100 x", f"{slow / whole:.0f} x ({slow:.0f} s, from {len(few)})")
    )
    bca, _ = seconds(lambda: with_intervals(*data, Conventions(interval="bca")), 1)
    table.append(("the same with BCa intervals (and so a jackknife)", "-", f"{bca:.2f} s"))

    truth = truth_of(data[0])
    every, _ = seconds(lambda: evaluate(detections_of(*data[1:], truth, np.full(IMAGES, OBJECTS)), truth), 1)
    table.append(("`evaluate`: all figures, with intervals and the curve's band", "-", f"{every:.2f} s"))
    table.append(
        monai_row(ordered, plain) if find_spec("monai") else ("against MONAI", "100 x", "MONAI is not installed")
    )
    return table


def monai_row(ordered: Sweep, plain: float) -> tuple[str, str, str]:
    """Compare the step that MONAI's function does: matched detections to the points of a pooled curve."""
    from monai.metrics import compute_froc_curve_data

    mixed = np.random.default_rng(1).permutation(len(ordered.hits))
    score, hit, image = ordered.thresholds[1:][mixed], ordered.hits[mixed] > 0, ordered.image[mixed]  # no ties here
    theirs, (fp, sensitivity) = seconds(
        lambda: compute_froc_curve_data(score[~hit], score[hit], IMAGES * OBJECTS, IMAGES), 1
    )

    def sort_and_sum() -> Any:
        order = np.argsort(-score, kind="stable")
        ends = np.flatnonzero(np.diff(score[order], append=-np.inf))
        thresholds = np.append(np.inf, score[order][ends])
        again = Sweep(image[order], hit[order].astype(int), ends, thresholds, ordered.objects)
        return froc(again, "object")

    ours, curve = seconds(sort_and_sum, 9)
    # MONAI leaves out the lowest threshold, the last point here.
    np.testing.assert_allclose(curve.fp[:-1], fp[::-1])
    np.testing.assert_allclose(curve.sensitivity[:-1], sensitivity[::-1])
    found = f"{theirs / ours:.0f} x ({theirs:.1f} s, {1000 * ours:.0f} ms); matching included {theirs / plain:.0f} x"
    return f"{len(score):,} candidates, MONAI's `compute_froc_curve_data`", "100 x", found


def main() -> None:
    print("| figure | target | measured |\n| --- | --- | --- |")
    for row in rows():
        print(f"| {' | '.join(row)} |", flush=True)
    others = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "monai") if find_spec(name))
    print(f"\nweakspot {__version__}, Python {platform.python_version()}, {others}; one core.")


if __name__ == "__main__":
    main()
