"""One training in two processes against one: the same loss curve, and the throughput.

    python benchmarks/processes.py [--steps 20] [--size 88x88x11] [--width 8] [--batch-size 8] [--at-once 1]

Random volumes with random counts; one thread a process. Times are those between the first and the last validation.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from weakspot.data.scans import write_scan

_TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


def log_of(folder: Path) -> list[dict[str, float]]:
    with (folder / "log.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", default="88x88x11")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--at-once", type=int)
    given = parser.parse_args()
    shape, rng = tuple(map(int, given.size.split("x"))), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = ["id,image,count,split"]
        for index in range(2 * given.batch_size):
            write_scan(folder / f"{index}.nii.gz", rng.random(shape, np.float32), np.eye(4))
            rows.append(f"{index},{index}.nii.gz,{rng.integers(5)},{'train' if index < given.batch_size else 'val'}")
        (folder / "cohort.csv").write_text("\n".join(rows))
        command = ["-m", "weakspot", "train", folder / "cohort.csv", "--threads", 1, "--width", given.width]
        command += ["--steps", given.steps, "--batch-size", given.batch_size]
        command += ["--at-once", given.at_once] if given.at_once else []
        logs = {}
        for processes in (1, 2):
            start = [sys.executable, *((*_TORCHRUN, processes) if processes > 1 else ())]
            done = [*start, *command, "--out", folder / f"run_{processes}"]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run([*map(str, done)], check=True, capture_output=True, env=environment)
            logs[processes] = log_of(folder / f"run_{processes}")
    print(f"{given.size}, {given.width} filters, batch {given.batch_size}, at once {given.at_once or 'all'}")
    print("| processes | s a step | throughput |\n| ---: | ---: | ---: |")
    a_step = {}
    for processes, log in logs.items():
        a_step[processes] = (log[-1]["seconds"] - log[0]["seconds"]) / (log[-1]["step"] - log[0]["step"])
        print(f"| {processes} | {a_step[processes]:.2f} | {a_step[1] / a_step[processes]:.2f} |")
    losses = [[(row["train_loss"], row["validation_loss"]) for row in log] for log in logs.values()]
    difference = np.abs(np.subtract(*losses) / losses[0]).max()
    print(f"losses of {len(losses[0])} validations differ by {difference:.1e} at the most, relative")


if __name__ == "__main__":
    main()
