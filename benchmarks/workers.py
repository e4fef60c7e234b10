"""Trainings side by side: local Dask workers of one thread, against one worker, and one worker of several threads.

    python benchmarks/workers.py --digits-from mnist.npz [--steps 50] [--trainings 4]

GP-Unet by the fast recipe, a digit each, as `weakspot study mnist` runs them; from the start of the cluster to the last
record. The digit grids are made before.
"""

import argparse
import tempfile
import time
from pathlib import Path

from weakspot.data.digit_pools import load_pools
from weakspot.studies.mnist_data import MnistSettings, describe, digit_data
from weakspot.studies.mnist_units import Training
from weakspot.studies.runner import cluster, run_on
from weakspot.studies.units import Place
from weakspot.training.recipes import choose_recipe

SET_UPS = ((1, 1), (2, 1), (1, 2))  # workers, threads of each


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--digits-from", type=Path)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--trainings", type=int, default=4)
    given = parser.parse_args()
    source = given.digits_from and str(given.digits_from.absolute())
    settings = MnistSettings(choose_recipe("fast", steps=given.steps), describe(load_pools(source)))
    units = [Training(settings, "regression", "gp_unet", digit, 0, source) for digit in range(given.trainings)]
    first = None
    for workers, threads in SET_UPS:
        with tempfile.TemporaryDirectory() as folder:
            place = Place(Path(folder))
            place.begin({})
            for unit in units:
                digit_data(place.work(), settings, unit.digit, source)
            start = time.perf_counter()
            with cluster(workers) as client:
                outcomes = run_on(client, units, place, lambda outcomes: None, threads)
            seconds = time.perf_counter() - start
        assert not any(each.error for each in outcomes), outcomes
        first = first or seconds
        print(f"{workers} worker(s) of {threads} thread(s): {seconds:.0f} s, {first / seconds:.2f} times", flush=True)


if __name__ == "__main__":
    main()
