"""The two kinds of work of the MNIST study: to train a network, and to evaluate one with a method."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from weakspot.data.digits import Grids
from weakspot.detection.peaks import SCORES
from weakspot.devices import choose_device
from weakspot.networks import NetworkSettings
from weakspot.settings import to_dict
from weakspot.studies.digits import Found, examples, find_on_grids, tune_on_grids
from weakspot.studies.mnist_data import MnistSettings, digit_data
from weakspot.studies.readings import readings, unevenness
from weakspot.studies.recording import keep_map, keep_picture, of_evaluation, of_training, of_tuning, short
from weakspot.studies.units import Place
from weakspot.training.run import load, train
from weakspot.training.settings import FitSettings, Progress

CURVE_FP = 5 * np.linspace(0, 1, 61) ** 2  # where curves are kept: close together where they rise
# The maps that the figures show, of the first seed: (digit, objective) -> methods (figures 4, 5 and C.16).
SHOWN = {
    (4, "regression"): (
        *("gp_unet", "gp_unet_no_residual", "gated_attention", "grad_cam", "grad", "guided_backprop"),
        *("gp_unet_no_skip", "gp_unet_max_pool"),
    ),
    (4, "classification"): ("gp_unet",),
    (1, "regression"): ("gp_unet", "gp_unet_no_skip", "gp_unet_max_pool"),
}


@dataclass(frozen=True)
class Training:
    """One network, trained to count (or notice) one digit.

    Attributes
    ----------
    study, objective, architecture, digit, seed : what the result hangs on
    source : where the digits come from, see `weakspot.data.digit_pools.load_pools`
    device : where to compute
    """

    study: MnistSettings
    objective: str
    architecture: str
    digit: int
    seed: int
    source: str | None = None
    device: str = "cpu"

    @property
    def name(self) -> str:
        """Its name."""
        return f"train-{self.objective}-{self.architecture}-{self.digit}-seed{self.seed}"

    @property
    def kind(self) -> str:
        """Trainings of one architecture take the same time."""
        return f"train {self.architecture}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Nothing: the images are made by whoever needs them first."""
        return ()

    @property
    def settings(self) -> dict[str, Any]:
        """Return what the result hangs on."""
        chosen = {name: getattr(self, name) for name in ("objective", "architecture", "digit", "seed")}
        return {"study": to_dict(self.study), **chosen}

    def ready(self, place: Place) -> bool:
        """Say whether the trained network is there."""
        return (place.work_of(self) / "run").exists()

    def run(self, place: Place, tell: Callable[[float], None]) -> dict[str, Any]:
        """Train, and return the losses, the time and what it was run on."""
        folder = place.work_of(self) / "run"
        if not folder.exists():
            grids = digit_data(place.work(), self.study, self.digit, self.source)
            fit = FitSettings(self.study.recipe, self.objective, self.seed)
            network = NetworkSettings(self.architecture, 2, self.study.width)
            parts = examples(grids.train, "train"), examples(grids.val, "val")

            def report(progress: Progress) -> None:
                tell(progress.step / progress.steps if progress.steps else 0.0)

            train(folder, network, *parts, fit, choose_device(self.device), resume=True, report=report)
        return of_training(folder)


@dataclass(frozen=True)
class Evaluation:
    """One trained network, evaluated with one method.

    Attributes
    ----------
    training : of the network
    method : a key of the study's methods
    attention : how its maps are made, a key of `weakspot.attention.METHODS`
    """

    training: Training
    method: str
    attention: str

    @property
    def name(self) -> str:
        """Its name."""
        training = self.training
        return f"evaluate-{training.objective}-{self.method}-{training.digit}-seed{training.seed}"

    @property
    def kind(self) -> str:
        """Evaluations of one method take the same time."""
        return f"evaluate {self.method}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The training."""
        return (self.training.name,)

    @property
    def settings(self) -> dict[str, Any]:
        """Return what the result hangs on."""
        chosen: dict[str, Any] = {"method": self.method, "attention": self.attention, "scores": list(SCORES)}
        if self.training.objective == "regression":
            chosen["tuned"] = "by the counts of the validation images, as their square roots"
        return {"training": self.training.settings, **chosen}

    def ready(self, place: Place) -> bool:
        """Say that no unit reads anything of it but the record."""
        return True

    def run(self, place: Place, tell: Callable[[float], None]) -> dict[str, Any]:
        """Find the digit on the test images, and return figures with intervals, the curve and other readings.

        Fractions are 0-1. Of a few methods two maps are kept as pictures beside the record.
        """
        training = self.training
        run = load(place.work_of(training) / "run")
        device = choose_device(training.device)
        data = digit_data(place.work(), training.study, training.digit, training.source)
        grids, tuned = data.test, tune_on_grids(run, data.val, self.attention, device)
        seen = 0

        def done() -> None:
            nonlocal seen
            seen += 1
            tell(0.8 * seen / len(grids))

        found = find_on_grids(run, grids, self.attention, device, done=done, tuned=tuned)
        best = found["height"]
        shown = SHOWN.get((training.digit, training.objective), ())
        return {
            **{name: of_evaluation(each.evaluation) for name, each in found.items()},
            **({} if tuned is None else {"tuned": of_tuning(tuned)}),
            "curve": short(best.evaluation.curve.read(CURVE_FP)),
            "readings": {name: short(figures) for name, figures in readings(best, grids).items()},
            "maps": unevenness([each.attention for each in best.predictions], grids),
            "shown": self._keep_maps(place, best, grids) if self.method in shown and not training.seed else {},
        }

    def _keep_maps(self, place: Place, found: Found, grids: Grids) -> dict[str, Any]:
        """Write maps of the image with the most targets, and GP-Unet's of the first with none, as 8-bit pictures."""
        counts, kept = grids.counts, {}
        for which, number in (("most", counts.max()), ("none", 0)):
            if which == "none" and (self.method != "gp_unet" or grids.digit != 4):
                continue
            index = int(np.argmax(counts == number))
            high = keep_map(place, f"{self.name}-{which}", found.predictions[index].attention)
            keep_picture(place, f"image-{grids.digit}-{which}", grids.images[index, 0])
            targets = grids.truth[index].coordinates.tolist()
            kept[which] = {"high": high, "predicted": float(found.counts[index]), "targets": targets}
        return kept
