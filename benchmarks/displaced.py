"""How far off maps lie by their validation images, mirrored, and by the truth: a Markdown table.

    python benchmarks/displaced.py --brain studies/results/brain gp_unet,midbrain
    python benchmarks/displaced.py --run run --cohort nuclei/cohort.csv --points nuclei/points.csv --radius-vox 15

Networks of the brain study (default condition, seed 0), whose work folders are needed, by the truth of their test
images; or one of `weakspot train`, by the nearest detection of each object of its validation images within a radius,
in voxels of the images as they are.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weakspot.data.cohort import read_cohort
from weakspot.data.images import load_images
from weakspot.data.points import read_points
from weakspot.devices import use_cpu
from weakspot.evaluation.operating_point import whole_counts
from weakspot.predict import choose_method
from weakspot.predict_files import File, FileSettings, predict_files
from weakspot.settings import from_dict
from weakspot.studies import brain
from weakspot.studies.brain_data import read_volumes
from weakspot.studies.brain_results import study_of
from weakspot.studies.units import Place
from weakspot.training.displaced import displaced, displaced_by_maps
from weakspot.training.run import load
from weakspot.training.settings import Examples, FitSettings


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cells", nargs="*", help="method,region")
    for name in ("brain", "run", "cohort", "points"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--radius-vox", type=float)
    chosen = parser.parse_args()
    use_cpu(1)
    print("| network | by the truth | by maps | by detections |\n| --- | --- | --- | --- |")
    if chosen.run:
        _trained(chosen.run, chosen.cohort, chosen.points, chosen.radius_vox)
        return
    place = Place(chosen.brain.resolve())
    study = study_of(place)
    units: dict[str, Any] = {each.name: each for each in brain.study_units(study)}
    for cell in chosen.cells:
        unit = units["evaluate-default-{}-{}-seed0".format(*cell.split(","))]
        run = load(place.work_of(unit.training) / "run")
        held_out = read_volumes(unit.phantoms, place, "val").examples()
        given = run.network, unit.attention, FitSettings(unit.training.recipe), held_out, run.shape
        record = place.record(unit.name)
        assert record is not None
        truth = record["result"]["offset_mm"]
        in_voxels = truth and [each / size for each, size in zip(truth, study.sizes.spacing_mm, strict=False)]
        offsets = in_voxels, displaced_by_maps(*given), displaced(*given)
        print(f"| {cell.replace(',', ', ')} | {' | '.join(map(_text, offsets))} |", flush=True)


def _trained(folder: Path, table: Path, points: Path, radius: float) -> None:
    run, truth = load(folder), read_points(points)
    cohort = read_cohort(table).with_split("val")
    store = load_images(cohort, shrink=run.shrink)
    settings = from_dict(FitSettings, run.settings["fit"])
    method = choose_method(run)
    given = run.network, method, settings, Examples(store, cohort.counts, cohort.ids), run.shape
    offsets = []
    files = [File(name, path) for name, path in zip(cohort.ids, cohort.paths, strict=True)]
    for found in predict_files(run, files, FileSettings()):
        assert found.candidates is not None
        objects = truth.get(found.identifier, truth.none).coordinates
        places = found.candidates.points[: int(whole_counts(found.count))]
        if len(places):
            apart = places - objects[:, None]
            nearest = apart[np.arange(len(objects)), np.linalg.norm(apart, axis=2).argmin(1)]
            offsets.append(nearest[np.linalg.norm(nearest, axis=1) < radius])
    by_truth = np.concatenate(offsets).mean(axis=0).tolist()
    seen = displaced_by_maps(*given), displaced(*given)
    by_each = by_truth, *(each and np.multiply(each, run.shrink).tolist() for each in seen)
    print(f"| {folder.name}, {method} | {' | '.join(map(_text, by_each))} |")


def _text(offset: Sequence[float] | None) -> str:
    return "not known" if offset is None else ", ".join(f"{each:+.2f}" for each in offset)


if __name__ == "__main__":
    main()
