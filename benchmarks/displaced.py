"""How far off maps lie by their validation images, mirrored, and by the truth of the test images: a Markdown table.

    python benchmarks/displaced.py --brain studies/results/brain gp_unet,midbrain

Networks of the brain study (default condition, seed 0), whose work folders are needed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weakspot.devices import use_cpu
from weakspot.studies import brain
from weakspot.studies.brain_data import read_volumes
from weakspot.studies.brain_results import study_of
from weakspot.studies.units import Place
from weakspot.training.displaced import displaced, displaced_by_maps
from weakspot.training.run import load
from weakspot.training.settings import FitSettings


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cells", nargs="+", help="method,region")
    parser.add_argument("--brain", type=Path, required=True)
    chosen = parser.parse_args()
    use_cpu(1)
    place = Place(chosen.brain.resolve())
    study = study_of(place)
    units: dict[str, Any] = {each.name: each for each in brain.study_units(study)}
    print("| cell | by the truth | by maps | by detections |\n| --- | --- | --- | --- |")
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


def _text(offset: Sequence[float] | None) -> str:
    return "not known" if offset is None else ", ".join(f"{each:+.2f}" for each in offset)


if __name__ == "__main__":
    main()
