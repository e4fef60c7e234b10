"""What a change of the fast recipe does, on digit grids that neither the study nor the demo test on.

    python benchmarks/recipe.py gp_unet 7 --digits-from mnist.npz --set weight_decay=0.3 --set steps=4000

Trains on the study's grids and evaluates on 500 others, of digits of the validation pool: choosing a recipe by these
does not touch the study's test images. Values are those of `weakspot.training.recipes.Recipe`.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from weakspot.cli.console import training_bar
from weakspot.data.digit_pools import load_pools
from weakspot.data.digits import digit_grids, make_grids
from weakspot.devices import use_cpu
from weakspot.seeding import generator
from weakspot.studies.digits import digit_recipe, find_on_grids, train_on_grids
from weakspot.studies.mnist import METHODS
from weakspot.training.settings import FitSettings


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("network")
    parser.add_argument("digit", type=int)
    parser.add_argument("--digits-from", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    use_cpu(1)
    changed = {name: json.loads(value) for name, value in (each.split("=", 1) for each in given.set)}
    settings = FitSettings(replace(digit_recipe("fast"), **changed), seed=given.seed)
    grids = digit_grids(given.digit, given.digits_from, 0)
    others = make_grids(load_pools(given.digits_from).val, given.digit, 500, generator(77, "dev"))
    with tempfile.TemporaryDirectory() as folder, training_bar() as report:
        run = train_on_grids(Path(folder) / "run", given.network, grids, settings, report=report)
    print(f"{given.network}, digit {given.digit}, {changed}")
    print(f"lowest validation loss {run.settings['result']['validation_loss']:.4f}")
    for network, method in METHODS.values():
        if network == given.network:
            found = find_on_grids(run, others, method)
            fauc = {score: f"{100 * each.evaluation.fauc.value:.1f}" for score, each in found.items()}
            error = np.abs(found["height"].counts - others.counts).mean()
            by_score = ", ".join(f"{value} by {score}" for score, value in fauc.items())
            print(f"{method}: FAUC {by_score}; count error {error:.2f}")


if __name__ == "__main__":
    main()
