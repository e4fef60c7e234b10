"""Draw 2D images with their maps, and with what was found in them beside the truth.

weakspot predict run cohort.csv --split val --out found --maps
python examples/pictures.py found cohort.csv points.csv pictures.png ID ID ID --radius-vox 8
"""

import argparse
from pathlib import Path

import numpy as np

from weakspot.data.cohort import read_cohort
from weakspot.data.images import read_image
from weakspot.data.points import read_points
from weakspot.evaluation import Conventions, evaluate
from weakspot.report.figures import Panel, detections_figure
from weakspot.scenes import make_scenes


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("found", "cohort", "truth", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("ids", nargs="+")
    parser.add_argument("--radius-vox", type=float, required=True)
    given = parser.parse_args()
    cohort = read_cohort(given.cohort, counts=False)
    paths = dict(zip(cohort.ids, cohort.paths, strict=True))
    truth, counted = read_points(given.truth), read_points(given.found / "counted.csv")
    conventions = Conventions(reach="radius_vox", radius=given.radius_vox, resamples=0)
    if unknown := set(given.ids) - set(paths):
        raise SystemExit(f"{given.cohort} has no {', '.join(sorted(unknown))}")
    panels = []
    for name in given.ids:
        objects, found = truth.get(name, truth.none), counted.get(name, counted.none)
        hits = evaluate(*make_scenes([found], [objects], (name,), None), conventions).point.matched >= 0
        image, attention = read_image(paths[name]).mean(axis=0), np.load(given.found / "maps" / f"{name}.npy")
        title = f"{len(objects.coordinates)} there, {len(found.coordinates)} counted"
        bright = np.minimum(image / (np.quantile(image, 0.995) or 1.0), 1)
        panels.append(Panel(bright, attention, objects.coordinates, found.coordinates, hits, title))
    detections_figure(panels, 2 * given.radius_vox).savefig(given.out, dpi=160)


if __name__ == "__main__":
    main()
