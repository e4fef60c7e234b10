"""``weakspot compare``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from weakspot.cli.judging import CurveOptions
from weakspot.cli.options import with_options


@with_options
def compare(
    methods: Annotated[
        list[str], typer.Argument(metavar="NAME=DETECTIONS", help="Points tables with scores, each with a name.")
    ],
    truth: Annotated[Path, typer.Option(help="Points table of the objects.")],
    counts: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COUNTS", help="A method's predicted counts (id, count); once for each method."),
    ] = None,
    *,
    options: CurveOptions,
) -> None:
    """Judge several methods on the same images: figures, the best marked, and tests between all pairs.

    Marked are the best method and those that are not significantly worse, after Holm's correction.
    """
    from weakspot.errors import InputError
    from weakspot.evaluation import compare as compare_scenes
    from weakspot.report.evaluation_tables import comparison_tables

    conventions, tables, predicted = options.conventions(), _named(methods), _named(counts or [])
    if len(tables) < 2:
        raise InputError("one method: comparing takes at least two, NAME=DETECTIONS NAME=DETECTIONS")
    if unknown := predicted.keys() - tables.keys():
        raise InputError(f"counts of {', '.join(sorted(unknown))}, but the methods are {', '.join(tables)}")
    scenes = options.read([truth, *(options.raters or ())], tables, predicted)
    comparison = compare_scenes(scenes.detections, scenes.truths[0], conventions)
    result = comparison.to_dict()
    options.finish(result, comparison_tables(result), comparison.evaluations, scenes)


def _named(given: Sequence[str]) -> dict[str, Path]:
    """Return the path of each name of NAME=PATH."""
    from weakspot.errors import InputError

    paths: dict[str, Path] = {}
    for text in given:
        name, _, path = text.partition("=")
        if not (name and path):
            raise InputError(f"{text!r}: expected NAME=TABLE, such as cam=found/detections.csv")
        if name in paths:
            raise InputError(f"the name {name!r} twice, for {paths[name]} and {path}: give each its own")
        paths[name] = Path(path)
    return paths
