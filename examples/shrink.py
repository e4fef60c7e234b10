"""Shrink the 2D images of a cohort, and the points of their objects, so that a network sees whole objects.

    python examples/shrink.py cohort.csv 3 shrunk --points points.csv

Pixels are means over 3x3, or where that does not fit, over as much as makes whole ones; the tables go on as they are.
"""

import argparse
from pathlib import Path

import pandas as pd
from PIL import Image


def main() -> None:
    """Write shrunk/cohort.csv, its images as PNG, and shrunk/points.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("times", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--points", type=Path)
    given = parser.parse_args()
    (given.out / "images").mkdir(parents=True)
    cohort, sizes = pd.read_csv(given.cohort, dtype=str), {}
    for row in cohort.itertuples():
        with Image.open(given.cohort.parent / row.image) as image:
            size = image.width // given.times, image.height // given.times
            image.resize(size, Image.Resampling.BOX).save(given.out / "images" / f"{row.id}.png")
            sizes[row.id] = {"x": size[0] / image.width, "y": size[1] / image.height}
    cohort["image"] = "images/" + cohort["id"] + ".png"
    cohort.to_csv(given.out / "cohort.csv", index=False)
    if given.points:
        points = pd.read_csv(given.points, dtype={"id": str})
        for axis, extent in (("y", "height"), ("x", "width")):
            scale = points["id"].map(lambda name, axis=axis: sizes[name][axis])
            points[axis] = (points[axis] + 0.5) * scale - 0.5  # whole numbers are the centres of pixels
            if extent in points:
                points[extent] *= scale
        points.to_csv(given.out / "points.csv", index=False)


if __name__ == "__main__":
    main()
