"""What smoothing maps before peaks are sought does to FAUC: a Markdown table.

    python benchmarks/smoothing.py --mnist studies/results/mnist --digits mnist.npz gp_unet,1 grad_cam,1
    python benchmarks/smoothing.py --brain studies/results/brain gp_unet,midbrain

Networks of the studies (regression, seed 0, the default condition), whose work folders are needed; the first images of
the test set, maps moved back in the brain.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from weakspot.data.digits import Grids, digit_grids
from weakspot.data.points import Points
from weakspot.detection import candidates_in
from weakspot.detection.peaks import SCORES
from weakspot.devices import use_cpu
from weakspot.evaluation import Conventions, evaluate
from weakspot.predict import predict
from weakspot.scenes import make_scenes
from weakspot.studies import brain
from weakspot.studies.brain_data import conventions_of, filter_size, read_volumes
from weakspot.studies.brain_results import study_of
from weakspot.studies.brain_settings import SLICE_AXIS
from weakspot.studies.digits import MAX_FP, examples
from weakspot.studies.units import Place
from weakspot.training.displaced import displaced
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
    parser.add_argument("--sigmas", type=float, nargs="+", default=[2, 4, 6])
    chosen = parser.parse_args()
    use_cpu(1)
    header = ("cell", *SCORES, *(f"height, sigma {sigma:g}" for sigma in chosen.sigmas))
    print(f"| {' | '.join(header)} |\n| --- |{' ---: |' * (len(header) - 1)}")
    for cell in chosen.cells:
        method, what = cell.split(",")
        if chosen.mnist:
            judged = _on_digits(chosen.mnist, method, int(what), chosen.digits, chosen.images)
        else:
            judged = _in_brains(Place(chosen.brain.resolve()), method, what, chosen.images)
        faucs = [judged(score=score) for score in SCORES]
        faucs += [judged(smooth=sigma) for sigma in chosen.sigmas]
        print(f"| {method}, {what} | {' | '.join(f'{100 * each:.1f}' for each in faucs)} |", flush=True)


def _on_digits(folder: Path, method: str, digit: int, source: Path, n: int) -> Callable[..., float]:
    whole = digit_grids(digit, source).test
    grids = Grids(whole.images[:n], whole.labels[:n], digit)
    network = method if method in METHODS else "base"
    runs = folder.glob(f"work/train-regression-{network}-{digit}-seed0-*/run")
    run, given = load(max(runs, key=lambda each: each.stat().st_mtime)), examples(grids, "test")
    images = (given.images.batch(np.array([index]))[0] for index in range(n))
    found = list(predict(run, images, METHODS.get(method, method)))
    conventions = Conventions(reach="inside", max_fp=MAX_FP, resamples=0)

    def judged(**detection: Any) -> float:
        points = [_points(each.attention, None, **detection) for each in found]
        scenes = make_scenes(points, grids.truth, given.ids, np.array([each.count for each in found]))
        return evaluate(*scenes, conventions).fauc.value

    return judged


def _in_brains(place: Place, method: str, region: str, n: int) -> Callable[..., float]:
    study = study_of(place)
    unit: Any = {each.name: each for each in brain.study_units(study)}[f"evaluate-default-{method}-{region}-seed0"]
    run, volumes = load(place.work_of(unit.training) / "run"), read_volumes(unit.phantoms, place)
    volumes = replace(volumes, cohort=volumes.cohort.select(np.arange(len(volumes.cohort)) < n))
    held_out, recipe = read_volumes(unit.phantoms, place, "val").examples(), FitSettings(unit.training.recipe)
    moved = displaced(run.network, unit.attention, recipe, held_out, run.shape)
    images = volumes.images()
    given = (images.batch([index])[0] for index in range(len(images)))
    found = list(predict(run, given, unit.attention, tile="auto", displaced_vox=moved))
    places = [None] * n if volumes.slices is None else [(SLICE_AXIS, float(each)) for each in volumes.slices]
    conventions, size = replace(conventions_of(study.sizes), resamples=0), filter_size(study.sizes)

    def judged(**detection: Any) -> float:
        each = zip(found, places, strict=True)
        points = [_points(one.attention, where, size=size, **detection) for one, where in each]
        detections = volumes.detections(points, [one.count for one in found])
        return evaluate(detections, volumes.truth(), conventions).fauc.value

    return judged


def _points(attention: np.ndarray, place: tuple[int, float] | None, **detection: Any) -> Points:
    found = candidates_in(attention, place, **detection)
    return Points(found.points, found.scores)


if __name__ == "__main__":
    main()
