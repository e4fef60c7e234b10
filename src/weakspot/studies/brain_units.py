"""The work of the brain study beside making phantoms: to train a network, and to evaluate one with a method."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from weakspot.data.points import Points
from weakspot.detection import candidates_in
from weakspot.detection.peaks import SCORES
from weakspot.devices import choose_device, choose_precision
from weakspot.evaluation import evaluate
from weakspot.evaluation.operating_point import whole_counts
from weakspot.networks import NetworkSettings
from weakspot.predict import Prediction, moved_back, predict
from weakspot.settings import to_dict
from weakspot.studies.brain_data import Phantoms, Volumes, conventions_of, filter_size, read_volumes
from weakspot.studies.brain_settings import MAX_FP, SLICE_AXIS, BrainSettings
from weakspot.studies.brain_widths import response_widths
from weakspot.studies.recording import keep_map, keep_picture, of_evaluation, of_training, short
from weakspot.studies.units import Place
from weakspot.training.displaced import displaced_by_maps
from weakspot.training.memory import check_memory
from weakspot.training.recipes import Recipe
from weakspot.training.run import Run, load, train
from weakspot.training.settings import FitSettings, Progress

CURVE_FP = MAX_FP * np.linspace(0, 1, 61) ** 2  # where curves are kept: close together where they rise
RESAMPLES_KEPT = 400  # of FAUC, for tests of differences between methods


@dataclass(frozen=True)
class Training:
    """One network, trained to count the PVS of one region.

    Attributes
    ----------
    phantoms : what it is trained on
    architecture, seed : what else the result hangs on
    start : the training whose weights it begins with: the midbrain's, or under another condition the region's own
    device : where to compute
    """

    phantoms: Phantoms
    architecture: str
    seed: int
    start: "Training | None" = None
    device: str = field(default="cpu", compare=False)

    @property
    def study(self) -> BrainSettings:
        """What all units share."""
        return self.phantoms.study

    @property
    def recipe(self) -> Recipe:
        """How it is fitted."""
        recipes = self.study.recipes
        if self.start is None:
            return recipes.first
        return recipes.further if self.start.phantoms.region != self.phantoms.region else recipes.changed

    @property
    def name(self) -> str:
        """Its name."""
        return f"train-{self.phantoms.condition}-{self.architecture}-{self.phantoms.region}-seed{self.seed}"

    @property
    def kind(self) -> str:
        """Trainings of one architecture on one region, from where they start, take the same time."""
        changed = " again" if self.recipe is self.study.recipes.changed else ""
        return f"train {self.architecture} {self.phantoms.region}{changed}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The phantoms, and the network to begin with."""
        return (self.phantoms.name, *(() if self.start is None else (self.start.name,)))

    @property
    def settings(self) -> dict[str, Any]:
        """Return what the result hangs on."""
        return {
            "phantoms": self.phantoms.settings,
            "architecture": self.architecture,
            "width": self.study.sizes.width,
            "at_once": self.study.sizes.at_once,
            "recipe": to_dict(self.recipe),
            "seed": self.seed,
            "start": None if self.start is None else self.start.settings,
        }

    def ready(self, place: Place) -> bool:
        """Say whether the trained network is there."""
        return (place.work_of(self) / "run").exists()

    def run(self, place: Place, tell: Callable[[float], None]) -> dict[str, Any]:
        """Train, and return the losses, the time and what it was run on."""
        folder, device = place.work_of(self) / "run", choose_device(self.device)
        if not folder.exists():
            learnt, held_out = (read_volumes(self.phantoms, place, split).examples() for split in ("train", "val"))
            sizes = self.study.sizes
            precision = choose_precision("auto", device)
            fit = FitSettings(self.recipe, seed=self.seed, precision=precision, at_once=sizes.at_once)
            network = NetworkSettings(self.architecture, 3, sizes.width)
            check_memory(network, fit, sizes.volume(self.phantoms.region), device)
            start = None if self.start is None else load(place.work_of(self.start) / "run")

            def report(progress: Progress) -> None:
                tell(progress.step / progress.steps if progress.steps else 0.0)

            train(folder, network, learnt, held_out, fit, device, resume=True, report=report, init_from=start)
        return of_training(folder)


@dataclass(frozen=True)
class Evaluation:
    """One trained network, evaluated with one method on the phantoms of its region.

    Attributes
    ----------
    training : of the network
    phantoms : what it is evaluated on: its own, or those of a condition that it has not seen
    method : a key of the study's methods
    attention : how its maps are made, a key of `weakspot.attention.METHODS`
    """

    training: Training
    phantoms: Phantoms
    method: str
    attention: str

    @property
    def condition(self) -> str:
        """That of its phantoms, named as unseen where the network has not been trained under it."""
        condition = self.phantoms.condition
        return condition if condition == self.training.phantoms.condition else f"{condition}_unseen"

    @property
    def scores(self) -> list[str]:
        """What candidates are scored by: the paper's alone under other conditions."""
        return list(SCORES if self.condition == "default" else SCORES[:1])

    @property
    def name(self) -> str:
        """Its name."""
        return f"evaluate-{self.condition}-{self.method}-{self.phantoms.region}-seed{self.training.seed}"

    @property
    def kind(self) -> str:
        """Evaluations of one method on one region by as many scores take the same time."""
        return f"evaluate {self.method} {self.phantoms.region}{'' if self.condition == 'default' else ' elsewhere'}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The training, and the phantoms of both."""
        return tuple(dict.fromkeys((self.training.name, self.training.phantoms.name, self.phantoms.name)))

    @property
    def settings(self) -> dict[str, Any]:
        """Return what the result hangs on."""
        chosen = {"method": self.method, "attention": self.attention, "scores": self.scores}
        chosen["centred"] = "validation images with a count"  # that tell how far maps lie off
        return {"training": self.training.settings, "phantoms": self.phantoms.settings, **chosen}

    def ready(self, place: Place) -> bool:
        """Say that no unit reads anything of it but the record."""
        return True

    def run(self, place: Place, tell: Callable[[float], None]) -> dict[str, Any]:
        """Find the PVS on the test phantoms, and return figures with intervals, the curve and how sharp the maps are.

        Fractions are 0-1; ``fp``, ``fn`` and ``sensitivities`` are those of each phantom at the predicted count.
        ``centred``: the same with maps moved back, by how far the network's own validation phantoms tell that they lie
        off; None where they do not tell, and nothing where that is no voxel.
        """
        volumes, sizes = read_volumes(self.phantoms, place), self.phantoms.study.sizes
        run, images = load(place.work_of(self.training) / "run"), volumes.images()
        slices = None if volumes.slices is None else [(SLICE_AXIS, float(each)) for each in volumes.slices]
        shown = volumes.fullest()
        truth = volumes.points()
        size = filter_size(sizes)
        device = choose_device(self.training.device)
        told = self._displaced(place, run, device)
        moves = np.rint(told or ()).tolist()  # in whole voxels, as predictions are
        points: dict[str, list[Points]] = {score: [] for score in self.scores}
        centred: dict[str, list[Points]] = {score: [] for score in self.scores if any(moves)}
        counts: list[float] = []
        widths: list[NDArray[np.float64]] = []
        offsets: list[NDArray[np.float64]] = []
        kept: dict[str, Any] = {}
        predictions = predict(
            run,
            (images.batch([index])[0] for index in range(len(images))),
            self.attention,
            device,
            tile="auto",
            slices=slices,
            size=size,
        )
        for index, each in enumerate(predictions):
            within = None if slices is None else slices[index]
            for score in points:
                points[score].append(_points(each.attention, within, score, size))
            for score in centred:
                centred[score].append(_points(moved_back(each.attention, moves), within, score, size))
            counts.append(each.count)
            width, offset = self._responses(each, truth[index].coordinates, None if within is None else within[1])
            widths.append(width)
            offsets.append(offset)
            if index == shown[0] and self.condition == "default" and not self.training.seed:
                kept = self._keep(place, volumes, each, images.batch([index])[0, 0], shown)
            tell(0.9 * (index + 1) / len(images))
        moved = self._judged(volumes, centred, counts) if centred else {}
        return {
            **self._judged(volumes, points, counts),
            "centred": None if told is None else moved,
            "displaced_vox": None if told is None else short(told),
            "width_mm": short([_mean(each) for each in widths]),
            "offset_mm": short(np.concatenate(offsets).mean(axis=0)) if any(map(len, offsets)) else None,
            "shown": kept,
        }

    def _displaced(self, place: Place, run: Run, device: torch.device) -> tuple[float, ...] | None:
        held_out = read_volumes(self.training.phantoms, place, "val").examples()
        network = run.network.to(device).eval()
        return displaced_by_maps(network, self.attention, FitSettings(self.training.recipe), held_out, run.shape)

    def _judged(self, volumes: Volumes, points: dict[str, list[Points]], counts: Sequence[float]) -> dict[str, Any]:
        """Return figures by each score of candidates, and of the paper's, height, what curves and tests need."""
        by_score = {
            score: evaluate(
                volumes.detections(found, counts), volumes.truth(), conventions_of(self.phantoms.study.sizes)
            )
            for score, found in points.items()
        }
        judged = by_score["height"]
        each_image = judged.point.per_image()
        return {
            **{score: of_evaluation(each) for score, each in by_score.items()},
            "curve": short(judged.curve.read(CURVE_FP)),
            "fauc_resampled": [round(float(value), 4) for value in judged.fauc_resampled[:RESAMPLES_KEPT]],
            "fp": each_image["fp"],
            "fn": each_image["fn"],
            "sensitivities": np.round(each_image["sensitivity"].astype(float), 4),
        }

    def _responses(
        self, found: Prediction, truth: NDArray[np.float64], index: float | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return how wide the response to each PVS found is (n,), and where the nearest detection is from it (n, dims).

        Found: within reach of one of as many of the highest candidates as the network counts.
        """
        sizes, attention, dims = self.phantoms.study.sizes, found.attention, 3
        if index is not None:
            truth, attention, dims = (
                truth[np.floor(truth[:, SLICE_AXIS] + 0.5) == index],
                attention[:, :, int(index)],
                2,
            )
        truth, spacing = truth[:, :dims], sizes.spacing_mm[:dims]
        detected = found.candidates.points[: int(whole_counts(found.count)), :dims]
        if not len(detected) or not len(truth):
            return np.zeros(0), np.zeros((0, dims))
        apart = detected - truth[:, None]
        nearest = apart[np.arange(len(truth)), np.linalg.norm(apart, axis=2).argmin(1)]
        hit = np.linalg.norm(nearest, axis=1) <= sizes.reach_vox
        return response_widths(attention, truth[hit], sizes.reach_vox, spacing), nearest[hit] * spacing

    def _keep(
        self, place: Place, volumes: Volumes, found: Prediction, image: NDArray[np.float32], shown: tuple[int, int]
    ) -> dict[str, Any]:
        """Write the slice with most PVS, of the map and of the volume, as pictures: left is left, the front is up."""
        index, height = shown
        high = keep_map(place, self.name, np.rot90(found.attention[:, :, height]))
        keep_picture(
            place, f"image-{self.phantoms.region}", np.rint(255 * np.rot90(image[:, :, height])).astype(np.uint8)
        )
        truth = volumes.points()[index].coordinates
        i, j, _ = truth[np.floor(truth[:, SLICE_AXIS] + 0.5) == height].T
        targets = np.stack([image.shape[1] - 1 - j, i], axis=1)
        return {
            "high": high,
            "predicted": found.count,
            "targets": targets.round(2),
            "volume": volumes.cohort.ids[index],
        }


def _points(attention: NDArray[np.float32], within: tuple[int, float] | None, score: str, size: int) -> Points:
    found = candidates_in(attention, within, score=score, size=size)
    return Points(found.points, found.scores)


def _mean(widths: NDArray[np.float64]) -> float:
    """Return the mean width of what responds; NaN where nothing does."""
    known = widths[np.isfinite(widths)]
    return float(known.mean()) if len(known) else float("nan")
