"""From tables of points to what evaluation takes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from weakspot.data.points import Points
from weakspot.data.problems import refuse
from weakspot.data.tables import read_table
from weakspot.errors import InputError
from weakspot.evaluation import Detections, Truth, detections_of, truth_of


def make_scenes(
    detections: Sequence[Points], truth: Sequence[Points], ids: Sequence[str], counts: ArrayLike | None = None
) -> tuple[Detections, Truth]:
    """Put the detections and the objects of all images together, with predicted counts if there are any.

    Raises
    ------
    InputError
        The detections have no scores, only some objects have extents, or what the points are refused for.
    """
    if any(len(found) and found.scores is None for found in detections):
        raise InputError("the detections have no column 'score': a FROC curve needs one")
    scores = [np.zeros(0) if found.scores is None else found.scores for found in detections]
    extents = [objects.coordinates[:0] if objects.extents is None else objects.extents for objects in truth]
    having = any(map(len, extents))
    gathered = truth_of([each.coordinates for each in truth], extents=extents if having else None, names=ids)
    return detections_of([each.coordinates for each in detections], scores, gathered, counts), gathered


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
