"""``weakspot evaluate``."""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    detections: Annotated[Path, typer.Argument(help="Points table with scores, such as detections.csv.")],
    truth: Annotated[Path, typer.Argument(help="Points table of the objects.")],
    cohort: Annotated[Path, typer.Option(help="Table that lists the images, those without points too.")],
    counts: Annotated[Path | None, typer.Option(help="Predicted counts (id, count), for the operating point.")] = None,
    split: Annotated[str | None, typer.Option(help="Only the images of this split: train, val, test.")] = None,
    radius_vox: Annotated[
        float | None, typer.Option(help="A hit is at most this far from the object, in voxels.")
    ] = None,
    inside: Annotated[bool, typer.Option("--inside", help="A hit is inside of the object's height and width.")] = False,
    max_fp: Annotated[float, typer.Option(help="FROC up to this many false positives an image.")] = 5.0,
    averaging: Annotated[str, typer.Option(help="image (mean over images with objects) or object (pooled).")] = "image",
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples, for the intervals.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write all figures here.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Draw the FROC curve: FIGURE.svg and FIGURE.png.")] = None,
) -> None:
    """Judge detections against the truth: FROC, FAUC, and the operating point at the predicted count."""
    from dataclasses import replace

    import numpy as np

    from weakspot.cli.console import say, write_json
    from weakspot.data.cohort import read_cohort
    from weakspot.data.points import points_of, read_points
    from weakspot.errors import InputError
    from weakspot.evaluation import Conventions
    from weakspot.evaluation import evaluate as evaluate_scenes
    from weakspot.report.tables import evaluation_table
    from weakspot.scenes import make_scenes, read_counts

    if inside == (radius_vox is not None):
        raise InputError("say when a detection is a hit: either --radius-vox R or --inside")
    images = read_cohort(cohort, counts=False, images=False)
    points = [read_points(detections), read_points(truth)]
    if split is not None:
        others = set(images.ids)
        images = images.with_split(split)
        others -= set(images.ids)  # known, and left out
        points = [{key: each for key, each in table.items() if key not in others} for table in points]
    found, objects = points
    dims = next((each.coordinates.shape[1] for each in [*objects.values(), *found.values()]), 2)
    predicted = None if counts is None else np.array(read_counts(counts, images.ids))
    scenes = make_scenes(
        points_of(found, images.ids, dims), points_of(objects, images.ids, dims), images.ids, predicted
    )
    reach = Conventions(reach="inside") if radius_vox is None else Conventions(radius=radius_vox)
    conventions = replace(reach, max_fp=max_fp, averaging=averaging, resamples=resamples, seed=seed)
    evaluation = evaluate_scenes(*scenes, conventions)
    result = evaluation.to_dict()
    say(evaluation_table(result))
    if json is not None:
        write_json(json, result)
    if figure is not None:
        from weakspot.report.figures import Curve, froc_figure, save

        curve = evaluation.curve
        drawn = Curve(detections.stem, curve.fp, curve.sensitivity, evaluation.band)
        marks = [("at the predicted count", result["fp_avg"], result["sensitivity"])] if counts else []
        stem = figure.with_suffix("") if figure.suffix in (".svg", ".png") else figure
        save(froc_figure([drawn], max_fp, marks), stem)
