"""How long candidates take by each score, and what memory: a Markdown table.

Run ``python benchmarks/detection.py``. Noise is the worst case: many maxima, whose basins touch.
"""

import time
import tracemalloc

import numpy as np
from scipy import ndimage

from weakspot.detection import candidates
from weakspot.detection.peaks import SCORES

SHAPE = (168, 128, 84)  # the paper's largest volume


def main() -> None:
    """Print the table."""
    noise = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    print("| map of " + "x".join(map(str, SHAPE)) + " | score | candidates | s | of height's | bytes a voxel |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for width in (3, 1, 0):
        attention = ndimage.gaussian_filter(noise, width) if width else noise
        name = f"noise, smoothed (sd {width} voxels)" if width else "noise"
        height = 0.0
        for score in SCORES:
            took = min(_seconds(attention, score) for _ in range(3))
            height = height or took
            tracemalloc.start()
            found = len(candidates(attention, score=score))
            peak = tracemalloc.get_traced_memory()[1] / attention.size
            tracemalloc.stop()
            print(f"| {name} | {score} | {found:,} | {took:.2f} | {took / height:.1f} | {peak:.0f} |")


def _seconds(attention: np.ndarray, score: str) -> float:
    begun = time.perf_counter()
    candidates(attention, score=score)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
