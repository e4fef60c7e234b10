"""One cell of the paper's digit study: train on grids of digits, find the digit on test grids, evaluate (section 3)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from weakspot.data.digits import DigitGrids, Grids
from weakspot.data.images import ImageStore
from weakspot.data.points import Points
from weakspot.detection import candidates
from weakspot.detection.peaks import SCORES
from weakspot.evaluation import Conventions, Evaluation, evaluate
from weakspot.predict import Prediction, predict
from weakspot.scenes import make_scenes
from weakspot.training.recipes import Recipe, choose_recipe
from weakspot.training.run import NetworkSettings, Run, train
from weakspot.training.settings import Examples, FitSettings, Progress

MAX_FP = 5.0  # of the FROC (section 3.7)


def digit_recipe(name: str, steps: int | None = None) -> Recipe:
    """Return the recipe of that name for digits: the fast one without flips, for no digit is met mirrored.

    Counting mirrored digits as well asks more of a small network than finding those that there are: with flips for 0.4
    of 2,000 steps, no residual ends at a validation loss of 1.67 (all of MNIST, digit 4), without them below 0.1
    (benchmarks/README.md). The recipe "paper" flips, as the paper does (section 3.5).
    """
    return choose_recipe(name, steps=steps, flips=name != "fast")


def examples(grids: Grids, name: str) -> Examples:
    """Return grids as what a network is trained on: images and counts, no locations."""
    ids = tuple(f"{name}_{index:04d}" for index in range(len(grids)))
    return Examples(ImageStore(tuple(grids.images)), grids.counts, ids)


def learnt_from(grids: DigitGrids) -> tuple[Examples, Examples]:
    """Return what a network is trained and validated on."""
    return examples(grids.train, "train"), examples(grids.val, "val")


def train_on_grids(
    out: Path,
    network: str,
    grids: DigitGrids,
    settings: FitSettings,
    device: torch.device | str = "cpu",
    report: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Train a 2D network on digit grids into ``out``, or go on with what was cut off there."""
    training, validation = learnt_from(grids)
    return train(out, NetworkSettings(network, 2), training, validation, settings, device, resume=True, report=report)


@dataclass(frozen=True, eq=False)
class Found:
    """What a network found on test grids, by one score.

    Attributes
    ----------
    predictions : one an image
    points : their candidates in the order of the score
    counts : (n,) predicted
    evaluation : of `weakspot.evaluation.evaluate`
    """

    predictions: list[Prediction]
    points: list[Points]
    counts: NDArray[np.float64]
    evaluation: Evaluation


def find_on_grids(
    run: Run,
    grids: Grids,
    method: str | None = None,
    device: torch.device | str = "cpu",
    seed: int = 0,
    done: Callable[[], None] = lambda: None,
) -> dict[str, Found]:
    """Find the digit on test grids and evaluate as the paper does: a hit is inside the digit's cell, FAUC 0-5.

    Returns what was found by each of `weakspot.detection.peaks.SCORES`.
    """
    store = examples(grids, "test")
    predictions = []
    images = (store.images.batch(np.array([index]))[0] for index in range(len(grids)))
    for prediction in predict(run, images, method, device):
        predictions.append(prediction)
        done()
    counts = np.array([each.count for each in predictions])
    conventions = Conventions(reach="inside", max_fp=MAX_FP, seed=seed)
    found = {}
    for score in SCORES:
        ranked = [candidates(each.attention, score=score) for each in predictions]
        points = [Points(each.points, each.scores) for each in ranked]
        scenes = make_scenes(points, grids.truth, store.ids, counts)
        found[score] = Found(predictions, points, counts, evaluate(*scenes, conventions))
    return found
