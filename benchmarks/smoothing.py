"""What smoothing maps before peaks are sought does to FAUC, as far as counts tell and as is best: a Markdown table.

    python benchmarks/smoothing.py --mnist studies/results/mnist --digits mnist.npz gp_unet,1 grad_cam,1
    python benchmarks/smoothing.py --brain studies/results/brain gp_unet,midbrain

Networks of the studies (regression, seed 0, the default condition), whose work folders are needed; the first images of
the test set, maps moved back in the brain. The counts that tell are those of the validation images.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from weakspot.data.digits import Grids, digit_grids
from weakspot.data.points import Points
from weakspot.detection import Candidates, candidates_in
from weakspot.detection.peaks import SCORES, SIZE_VOX
from weakspot.detection.smoothing import sigmas_for, smoothing_by_counts
from weakspot.devices import use_cpu
from weakspot.evaluation import Conventions, evaluate
from weakspot.predict import Prediction, predict
from weakspot.scenes import make_scenes
from weakspot.studies import brain
from weakspot.studies.brain_data import Volumes, conventions_of, filter_size, read_volumes
from weakspot.studies.brain_results import study_of
from weakspot.studies.brain_settings import SLICE_AXIS
from weakspot.studies.digits import MAX_FP, examples
from weakspot.studies.units import Place
from weakspot.training.displaced import displaced_by_maps
from weakspot.training.run import load
from weakspot.training.settings import FitSettings

METHODS = {"gp_unet": "cam", "gp_unet_no_residual": "cam", "gated_attention": "gated"}  # others are of network base


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cells", nargs="+", help="method,digit or method,region")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--mnist", type=Path)
    place.add_argument("--brain", type=Path)
    parser.add_argument("--digits", type=Path)
    parser.add_argument("--images", type=int, default=200)
    chosen = parser.parse_args()
    use_cpu(1)
    header = ("cell", *SCORES, "as counts tell", "sigma", "count error", "as they are", "highest", "sigma")
    print(f"| {' | '.join(header)} |\n| --- |{' ---: |' * (len(header) - 1)}")
    for cell in chosen.cells:
        method, what = cell.split(",")
        if chosen.mnist:
            held_out, tested, sigmas = _on_digits(chosen.mnist, method, int(what), chosen.digits, chosen.images)
        else:
            held_out, tested, sigmas = _in_brains(Place(chosen.brain.resolve()), method, what, chosen.images)
        told = smoothing_by_counts({sigma: held_out.scores(smooth=sigma) for sigma in sigmas}, held_out.counts)
        by_sigma = {sigma: tested.fauc(smooth=sigma) for sigma in sigmas}
        faucs = [by_sigma[0.0], *(tested.fauc(score=score) for score in SCORES[1:]), by_sigma[told.sigma_vox]]
        errors = [np.abs(each - held_out.counts).mean() for each in (told.numbers, told.unsmoothed)]
        highest = max(sigmas, key=by_sigma.__getitem__)
        columns = [*(f"{100 * each:.1f}" for each in faucs), f"{told.sigma_vox:g}", *(f"{each:.2f}" for each in errors)]
        print(f"| {method}, {what} | {' | '.join(columns)} | {100 * by_sigma[highest]:.1f} | {highest:g} |", flush=True)


@dataclass(frozen=True)
class Images:
    """Maps and counts of images, the slices that are searched, and how points are judged."""

    predictions: Sequence[Prediction]
    counts: np.ndarray
    places: Sequence[tuple[int, float] | None]
    judged: Callable[[list[Points]], float]
    size: int = SIZE_VOX

    def _found(self, **detection: Any) -> list[Candidates]:
        each = zip(self.predictions, self.places, strict=True)
        return [candidates_in(one.attention, place, size=self.size, **detection) for one, place in each]

    def scores(self, **detection: Any) -> list[np.ndarray]:
        return [each.scores for each in self._found(**detection)]

    def fauc(self, **detection: Any) -> float:
        return self.judged([Points(each.points, each.scores) for each in self._found(**detection)])


def _on_digits(folder: Path, method: str, digit: int, source: Path, n: int) -> tuple[Images, Images, tuple[float, ...]]:
    data = digit_grids(digit, source)
    network = method if method in METHODS else "base"
    runs = folder.glob(f"work/train-regression-{network}-{digit}-seed0-*/run")
    run = load(max(runs, key=lambda each: each.stat().st_mtime))
    conventions = Conventions(reach="inside", max_fp=MAX_FP, resamples=0)

    def images(whole: Grids) -> Images:
        grids = Grids(whole.images[:n], whole.labels[:n], digit)
        given = examples(grids, "test")
        batches = (given.images.batch(np.array([index]))[0] for index in range(len(grids)))
        found = list(predict(run, batches, METHODS.get(method, method)))
        counts = np.array([each.count for each in found])

        def judged(points: list[Points]) -> float:
            return evaluate(*make_scenes(points, grids.truth, given.ids, counts), conventions).fauc.value

        return Images(found, grids.counts, [None] * len(grids), judged)

    return images(data.val), images(data.test), sigmas_for(max(data.test.images.shape[2:]))


def _in_brains(place: Place, method: str, region: str, n: int) -> tuple[Images, Images, tuple[float, ...]]:
    study = study_of(place)
    unit: Any = {each.name: each for each in brain.study_units(study)}[f"evaluate-default-{method}-{region}-seed0"]
    run = load(place.work_of(unit.training) / "run")
    held_out, recipe = read_volumes(unit.phantoms, place, "val"), FitSettings(unit.training.recipe)
    moved = displaced_by_maps(run.network, unit.attention, recipe, held_out.examples(), run.shape)
    conventions, size = replace(conventions_of(study.sizes), resamples=0), filter_size(study.sizes)

    def images(volumes: Volumes) -> Images:
        volumes = replace(volumes, cohort=volumes.cohort.select(np.arange(len(volumes.cohort)) < n))
        store = volumes.images()
        given = (store.batch([index])[0] for index in range(len(store)))
        found = list(predict(run, given, unit.attention, tile="auto", displaced_vox=moved))
        slices = [None] * len(store) if volumes.slices is None else [(SLICE_AXIS, float(at)) for at in volumes.slices]

        def judged(points: list[Points]) -> float:
            detections = volumes.detections(points, [each.count for each in found])
            return evaluate(detections, volumes.truth(), conventions).fauc.value

        return Images(found, volumes.cohort.counts, slices, judged, size)

    return images(held_out), images(read_volumes(unit.phantoms, place)), sigmas_for(max(run.shape))


if __name__ == "__main__":
    main()
