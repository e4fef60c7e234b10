"""What Dask takes of two cores while its workers are busy: as weakspot sets it, and as it comes.

    python benchmarks/watching.py [--seconds 20]

Processor time of all threads of the command and its two workers, numpy loops, and of all threads but those that loop.
"""

import argparse
import time
from unittest.mock import patch

import numpy as np
import psutil

from weakspot.studies import runner


def loop(seconds: float) -> None:
    end, matrix = time.monotonic() + seconds, np.eye(200)
    while time.monotonic() < end:
        matrix = matrix @ matrix


def taken(processes: list[psutil.Process]) -> dict[int, float]:
    """Return the processor time of each thread so far."""
    return {each.id: each.user_time + each.system_time for process in processes for each in process.threads()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20)
    seconds = parser.parse_args().seconds
    for name, settings in (("as weakspot sets it", runner._DASK), ("as it comes", {})):
        with patch.object(runner, "_DASK", settings), runner.cluster(2) as client:
            loops = [client.submit(loop, seconds + 10, pure=False) for _ in range(2)]
            time.sleep(5)  # until both run
            own = psutil.Process()
            processes = [own, *own.children(recursive=True)]
            before = taken(processes)
            time.sleep(seconds)
            spent = sorted(now - before.get(thread, 0) for thread, now in taken(processes).items())
            client.gather(loops)
        print(f"{name}: loops {sum(spent[-2:]):.1f} s, Dask {sum(spent[:-2]):.1f} s", flush=True)


if __name__ == "__main__":
    main()
