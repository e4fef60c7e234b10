"""One cell of the paper's digit study: train on grids of digits, find the digit on test grids, evaluate (section 3)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from weakspot.data.digits import DigitGrids, Grids
from weakspot.data.images import ImageStore
from weakspot.data.points import Points
from weakspot.detection import candidates
from weakspot.detection.peaks import SCORES
from weakspot.detection.smoothing import sigmas_for
from weakspot.evaluation import Conventions, Evaluation, evaluate
from weakspot.networks import NetworkSettings
from weakspot.predict import Prediction, choose_method, predict
from weakspot.scenes import make_scenes
from weakspot.training.recipes import Recipe, choose_recipe
from weakspot.training.run import Run, train
from weakspot.training.settings import Examples, FitSettings, Progress
from weakspot.tuning import Sought, Tuned, scores_at, tuned_by

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
    counts : (n,) predicted, or kept by a threshold
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
    tuned: Tuned | None = None,
) -> dict[str, Found]:
    """Find the digit on test grids and evaluate as the paper does: a hit is inside the digit's cell, FAUC 0-5.

    Returns what was found by each of `weakspot.detection.peaks.SCORES`; with ``tuned``, of `tune_on_grids`, as
    "smoothed" also by the heights of smoothed maps, and as "thresholded" what of that is kept by the threshold and not
    by the predicted count.
    """
    store = examples(grids, "test")
    predictions = []
    for prediction in predict(run, _images(grids), method, device):
        predictions.append(prediction)
        done()
    counts = np.array([each.count for each in predictions])
    conventions = Conventions(reach="inside", max_fp=MAX_FP, seed=seed)

    def ranked(**detection: Any) -> list[Points]:
        found = (candidates(each.attention, **detection) for each in predictions)
        return [Points(each.points, each.scores) for each in found]

    def judged(points: list[Points], kept: NDArray[np.float64]) -> Found:
        scenes = make_scenes(points, grids.truth, store.ids, kept)
        return Found(predictions, points, kept, evaluate(*scenes, conventions))

    found = {score: judged(ranked(score=score), counts) for score in SCORES}
    if tuned is not None:
        smoothed = ranked(smooth=tuned.sigma_vox)
        kept = np.array([tuned.number_of(each.scores) for each in smoothed], np.float64)
        found |= {"smoothed": judged(smoothed, counts), "thresholded": judged(smoothed, kept)}
    return found


def tune_on_grids(
    run: Run,
    validation: Grids,
    method: str | None = None,
    device: torch.device | str = "cpu",
    done: Callable[[], None] = lambda: None,
) -> Tuned | None:
    """Tune how maps are searched by the counts of validation grids; None of a network that does not count."""
    if run.objective != "regression":
        return None
    sigmas, scores, outputs = sigmas_for(max(run.shape)), [], []
    for each in predict(run, _images(validation), method, device):
        scores.append(scores_at(sigmas, each.attention))
        outputs.append(each.count)
        done()
    return tuned_by(sigmas, scores, validation.counts, outputs, Sought(choose_method(run, method)))


def _images(grids: Grids) -> Iterator[NDArray[np.float32]]:
    images = examples(grids, "").images
    return (images.batch(np.array([index]))[0] for index in range(len(grids)))
