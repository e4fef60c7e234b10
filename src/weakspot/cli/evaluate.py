"""``weakspot evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from weakspot.cli.judging import CurveOptions
from weakspot.cli.options import with_options


@with_options
def evaluate(
    detections: Annotated[Path, typer.Argument(help="Points table with scores, such as detections.csv.")],
    truth: Annotated[Path, typer.Argument(help="Points table of the objects.")],
    counts: Annotated[Path | None, typer.Option(help="Predicted counts (id, count), for the operating point.")] = None,
    *,
    options: CurveOptions,
) -> None:
    """Judge detections against the truth: FROC, FAUC, and the operating point, with their 95 % intervals.

    The operating point is what --threshold or --k say; without them the predicted count of each image, to the nearest
    whole number, at least 0; without counts every detection.
    """
    from weakspot.evaluation import evaluate as evaluate_scene
    from weakspot.report.evaluation_tables import evaluation_tables

    name, conventions = detections.stem, options.conventions()
    scenes = options.read([truth, *(options.raters or ())], {name: detections}, {name: counts} if counts else {})
    evaluation = evaluate_scene(scenes.detections[name], scenes.truths[0], conventions)
    result = evaluation.to_dict()
    options.finish(result, evaluation_tables(result), {name: evaluation}, scenes)
