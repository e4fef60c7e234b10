"""All benchmarks that take minutes, one after the other: ``make bench``."""

import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> None:
    start = time.perf_counter()
    command = [sys.executable, "-c", "from weakspot.cli import main; main()", "--help"]
    subprocess.run(command, capture_output=True, check=True)
    print(f"weakspot --help: {time.perf_counter() - start:.2f} s\n", flush=True)
    for name in ("training_step", "attention", "volumes", "evaluation", "workers", "predict_workers", "processes"):
        print(f"{name}.py", flush=True)
        subprocess.run([sys.executable, FOLDER / f"{name}.py"], check=True)
        print(flush=True)


if __name__ == "__main__":
    main()
