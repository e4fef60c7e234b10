"""Time of evaluation: FROC, FAUC and bootstrap of 1,000 images with 100 candidates and 5 objects each, one thread.

python benchmarks/evaluation.py
"""

import time

import numpy as np

from weakspot.evaluation.evaluate import evaluate
from weakspot.evaluation.froc import area, froc, increments
from weakspot.evaluation.matching import Reach, scene_of


def main() -> None:
    rng = np.random.default_rng(0)
    scenes = [
        scene_of(rng.uniform(0, 200, (100, 2)), rng.random(100), rng.uniform(0, 200, (5, 2))) for _ in range(1000)
    ]
    start = time.perf_counter()
    curve = froc(increments(scenes, Reach(6)))
    area(curve.fp, curve.sensitivity, 5)
    once = time.perf_counter() - start
    start = time.perf_counter()
    evaluate(scenes, Reach(6), 5, resamples=1000)
    whole = time.perf_counter() - start
    print(f"numpy {np.__version__}")
    print("| figure | s |\n| --- | ---: |")
    print(f"| FROC and FAUC | {once:.2f} |\n| with 1,000 bootstrap resamples | {whole:.2f} |")
    print(f"| recomputing each resample would take | {1000 * once:.0f} |")


if __name__ == "__main__":
    main()
