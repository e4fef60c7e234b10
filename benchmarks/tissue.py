"""Networks trained on region volumes scaled by their tissue, not by their highest voxel: a Markdown table.

    python benchmarks/tissue.py --out studies/results/brain --to tissue --regions midbrain centrum_semiovale

Trains the brain study's networks of the default condition again, on its own volumes with another scale (the median of
what is above 0.15 of the highest voxel stands for the region's), into the folder ``--to``, and evaluates both as
``predict`` does, under every condition whose phantoms are there. Needs the work folder of ``weakspot study brain``;
goes on with what is in ``--to``.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from weakspot.data.images import ImageStore
from weakspot.data.points import Points
from weakspot.data.regions import TISSUES
from weakspot.devices import use_cpu
from weakspot.evaluation import evaluate
from weakspot.networks import NetworkSettings
from weakspot.predict import predict
from weakspot.studies.brain import study_units
from weakspot.studies.brain_data import Phantoms, Volumes, conventions_of, filter_size, read_volumes
from weakspot.studies.brain_results import study_of
from weakspot.studies.brain_settings import CONDITIONS, SLICE_AXIS, Sizes
from weakspot.studies.brain_units import Training
from weakspot.studies.units import Place
from weakspot.training.displaced import displaced_by_maps
from weakspot.training.run import Run, load, train
from weakspot.training.settings import FitSettings, Images


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--regions", nargs="+", default=["midbrain"])
    parser.add_argument("--method", default="gp_unet", help="whose network is its own: not grad, grad_cam and so on")
    chosen = parser.parse_args()
    use_cpu(1)
    place = Place(chosen.out.resolve())
    study = study_of(place)
    units = {unit.name: unit for unit in study_units(study)}
    print("| region | condition | FAUC (%), highest | tissue | mean count, highest | tissue | true |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for region in chosen.regions:
        unit = units[f"train-default-{chosen.method}-{region}-seed0"]
        attention = units[f"evaluate-default-{chosen.method}-{region}-seed0"].attention
        sides = []
        for run, scaled in (
            (load(place.work_of(unit) / "run"), lambda images: images),
            (_trained(unit, place, chosen.to), _by_tissue),
        ):
            told = read_volumes(unit.phantoms, place, "val").examples()
            told = replace(told, images=scaled(told.images))
            sides.append(
                (run, scaled, displaced_by_maps(run.network, attention, FitSettings(unit.recipe), told, run.shape))
            )
        for condition in CONDITIONS:
            phantoms = Phantoms(study, region, condition)
            if not phantoms.ready(place):
                continue
            volumes = read_volumes(phantoms, place)
            figures = [
                _judged(run, attention, moved, study.sizes, volumes, scaled(volumes.images()))
                for run, scaled, moved in sides
            ]
            faucs, counts = zip(*figures, strict=True)
            row = [region, condition, *(f"{100 * each:.1f}" for each in faucs), *(f"{each:.1f}" for each in counts)]
            print(f"| {' | '.join(row)} | {volumes.cohort.counts.mean():.1f} |", flush=True)


def _by_tissue(images: Images) -> Images:
    def scaled(volume: np.ndarray) -> np.ndarray:
        return np.minimum(volume / (TISSUES * np.median(volume[volume > 0.15 * volume.max()])), 1).astype(np.float32)

    return ImageStore(tuple(scaled(images.batch([index])[0]) for index in range(len(images))))


def _trained(unit: Training, place: Place, to: Path) -> Run:
    """Train a network as the study does, the midbrain's first."""
    folder = to / f"{unit.architecture}-{unit.phantoms.region}"
    if folder.exists():
        return load(folder)
    start = None if unit.start is None else _trained(unit.start, place, to)
    given = [read_volumes(unit.phantoms, place, split).examples() for split in ("train", "val")]
    learnt, held_out = (replace(each, images=_by_tissue(each.images)) for each in given)
    sizes = unit.study.sizes
    network, fit = NetworkSettings(unit.architecture, 3, sizes.width), FitSettings(unit.recipe, at_once=sizes.at_once)
    return train(folder, network, learnt, held_out, fit, resume=True, init_from=start)


def _judged(
    run: Run,
    attention: str,
    moved: tuple[float, ...] | None,
    sizes: Sizes,
    volumes: Volumes,
    images: Images,
) -> tuple[float, float]:
    """Return FAUC and the mean count."""
    slices = None if volumes.slices is None else [(SLICE_AXIS, float(each)) for each in volumes.slices]
    given = (images.batch([index])[0] for index in range(len(images)))
    size = filter_size(sizes)
    found = list(predict(run, given, attention, tile="auto", slices=slices, size=size, displaced_vox=moved))
    points = [Points(each.candidates.points, each.candidates.scores) for each in found]
    counts = [each.count for each in found]
    judged = evaluate(volumes.detections(points, counts), volumes.truth(), conventions_of(sizes))
    return judged.fauc.value, float(np.mean(counts))


if __name__ == "__main__":
    main()
