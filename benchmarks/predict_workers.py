"""Throughput of ``weakspot predict`` over phantoms: two workers against one, and whether they write the same bytes.

    python benchmarks/predict_workers.py [--n 40] [--region midbrain] [--width 32] [--cohort COHORT]

A network of the paper's width that was hardly trained: what it finds does not change what it takes. One thread each.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def weakspot(*arguments: object) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "weakspot", *map(str, arguments)], check=True, capture_output=True)
    return time.perf_counter() - start


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--region", default="midbrain")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--cohort", type=Path, help="Volumes that are there already.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cohort = given.cohort or folder / "regions" / f"cohort_{given.region}.csv"
        if given.cohort is None:
            weakspot("phantom", "--out", folder / "phantoms", "--n", given.n, "--region", given.region)
            weakspot("regions", folder / "phantoms" / "cohort.csv", "--region", given.region, "--out", cohort.parent)
        run = folder / "run"
        weakspot("train", cohort, "--out", run, "--steps", 1, "--batch-size", 2, "--width", given.width)
        print(f"{given.n} volumes, {cohort.stem}, {given.width} filters")
        print("| workers | s | images a second | throughput |\n| ---: | ---: | ---: | ---: |")
        first, found = 0.0, []
        for workers in (1, 2):
            out = folder / f"workers_{workers}"
            seconds = weakspot("predict", run, cohort, "--out", out, "--workers", workers, "--threads", 1)
            first = first or seconds
            found.append(contents(out))
            print(f"| {workers} | {seconds:.1f} | {given.n / seconds:.2f} | {first / seconds:.2f} |", flush=True)
        print("the same bytes" if found[0] == found[1] else "NOT the same bytes")


if __name__ == "__main__":
    main()
