"""From tables of points to what evaluation takes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from weakspot.data.points import Points
from weakspot.data.problems import refuse
from weakspot.data.tables import read_table
from weakspot.errors import InputError
from weakspot.evaluation.matching import Scene, scene_of


def make_scenes(detections: Sequence[Points], truth: Sequence[Points], ids: Sequence[str]) -> list[Scene]:
    """Put the detections and objects of each image together.

    Raises
    ------
    InputError
        Lists the images whose points are given twice; or the detections have no scores.
    """
    scenes, problems = [], []
    for identifier, found, objects in zip(ids, detections, truth, strict=True):
        if len(found) and found.scores is None:
            raise InputError("the detections have no column 'score': a FROC curve needs one")
        scores = np.zeros(0) if found.scores is None else found.scores
        try:
            scenes.append(scene_of(found.coordinates, scores, objects.coordinates, objects.extents))
        except InputError as error:
            problems.append(f"id {identifier}: {error}")
    refuse("the points", problems)
    return scenes


def read_counts(path: Path, ids: Sequence[str]) -> list[float]:
    """Read a table of predicted counts (``id, count``), one for each of ``ids``; other rows are left out.

    Raises
    ------
    InputError
        Lists the ids that have no row, several, or a count that is no finite number.
    """
    table = read_table(path, ("id", "count"))
    rows: dict[str, list[str]] = {}
    for identifier, text in zip(table["id"], table["count"], strict=True):
        rows.setdefault(identifier, []).append(text)
    values, problems = [], []
    for identifier in ids:
        texts = rows.get(identifier, [])
        try:
            (text,) = texts
            values.append(float(text))
            if not np.isfinite(values[-1]):
                raise ValueError
        except ValueError:
            problems.append(f"id {identifier}: {f'count {texts[0]!r}' if len(texts) == 1 else f'{len(texts)} rows'}")
    refuse(f"{path}: expected one finite count for each image of the cohort", problems)
    return values
