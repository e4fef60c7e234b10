"""What a volume's scale does to a network that has not seen the condition: a Markdown table.

    python benchmarks/scale.py --out studies/results/brain --conditions no_distractors bright

A volume is divided by its highest value. Without distractors, or with brighter perivascular spaces, that is another
value, and so are the tissue's. Here each volume is also multiplied by the one number that brings its tissue to the
values of the same phantom as it is under the default condition. Needs the work folder of ``weakspot study brain``.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from weakspot.data.points import Points
from weakspot.devices import use_cpu
from weakspot.evaluation import evaluate
from weakspot.predict import predict
from weakspot.studies.brain import study_units
from weakspot.studies.brain_data import Phantoms, conventions_of, filter_size, read_volumes
from weakspot.studies.brain_results import study_of
from weakspot.studies.brain_settings import SLICE_AXIS
from weakspot.studies.units import Place
from weakspot.training.run import load

_TISSUE = 0.15  # of the highest value, at least


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--conditions", nargs="+", default=["no_distractors"])
    parser.add_argument("--regions", nargs="+", default=["hippocampi", "centrum_semiovale"])
    parser.add_argument("--methods", nargs="+", default=["gp_unet", "gp_unet_no_residual", "gated_attention"])
    chosen = parser.parse_args()
    use_cpu(1)
    place = Place(chosen.out.resolve())
    study = study_of(place)
    units = {unit.name: unit for unit in study_units(study)}
    print(
        "| condition | region | network | FAUC (%) | brought to scale | mean count | brought to scale | true | factor |"
    )
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for condition in chosen.conditions:
        for region in chosen.regions:
            volumes = read_volumes(Phantoms(study, region, condition), place)
            before = read_volumes(Phantoms(study, region, "default"), place)
            assert volumes.cohort.ids == before.cohort.ids
            given, wanted = volumes.images(), before.images()
            factors = [_factor(given.batch([index]), wanted.batch([index])) for index in range(len(given))]
            slices = None if volumes.slices is None else [(SLICE_AXIS, float(each)) for each in volumes.slices]
            for method in chosen.methods:
                unit = units[f"evaluate-{condition}_unseen-{method}-{region}-seed0"]
                run = load(place.work_of(unit.training) / "run")
                faucs, means = [], []
                for by in ([1.0] * len(given), factors):
                    images: Iterator[np.ndarray] = (given.batch([index])[0] * factor for index, factor in enumerate(by))
                    size = filter_size(study.sizes)
                    found = list(predict(run, images, unit.attention, tile="auto", slices=slices, size=size))
                    points = [Points(each.candidates.points, each.candidates.scores) for each in found]
                    counts = [each.count for each in found]
                    detections = volumes.detections(points, counts)
                    faucs.append(evaluate(detections, volumes.truth(), conventions_of(study.sizes)).fauc.value)
                    means.append(np.mean(counts))
                figures = [*(f"{100 * each:.1f}" for each in faucs), *(f"{each:.1f}" for each in means)]
                true, factor = volumes.cohort.counts.mean(), np.median(factors)
                row = (condition, region, method, *figures, f"{true:.1f}", f"{factor:.2f}")
                print(f"| {' | '.join(row)} |", flush=True)


def _factor(given: np.ndarray, wanted: np.ndarray) -> float:
    tissue = (given > _TISSUE) & (wanted > 0)
    return float(np.median(wanted[tissue] / given[tissue]))


if __name__ == "__main__":
    main()
