"""What detection comes to by each score of candidates, beyond the paper's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from weakspot.detection.peaks import SCORES
from weakspot.report.tables import Table, number
from weakspot.studies.cells import Evaluated, mean

_NOTE = (
    "Height, the map's value, is the paper's and that of all other figures. Mass is the sum of the map over the peak's "
    "basin. Prominence is the height above the saddle to a higher maximum: of several maxima on one object only the "
    "highest ranks high, but so does only the brighter of two objects that touch. `weakspot predict --score` takes "
    "each. Bold: the highest."
)
_CENTRED = (
    " Centred: maps moved back by how far off they lie, in whole voxels; mirrored validation images tell, without any "
    "location (`weakspot predict` moves the maps of a network's own method). Where that cannot be told, not defined."
)

_TOLD = (
    "Smoothed: the map, by a Gaussian, before peaks are sought; as far, and with that threshold, as makes numbers of "
    "peaks agree best with the counts of the validation images, without any location "
    "(`weakspot.detection.smoothing`). Wrong: false positives and missed objects, an image. Count error: mean "
    "absolute, of the network's output and of the number of peaks above the threshold; `weakspot predict` counts by "
    "the threshold where it is clearly better on the validation images."
)
_TOLD_COLUMNS = (  # header, what of a record, figures that are added up, form and unit
    ("FAUC", "height", ("fauc",), "{:.1f}", 100),
    ("smoothed", "smoothed", ("fauc",), "{:.1f}", 100),
    ("wrong at the predicted count", "height", ("fpavg", "fnavg"), "{:.2f}", 1),
    ("smoothed", "smoothed", ("fpavg", "fnavg"), "{:.2f}", 1),
    ("smoothed, at the threshold", "thresholded", ("fpavg", "fnavg"), "{:.2f}", 1),
    ("count error of the network", "height", ("count_error",), "{:.2f}", 1),
    ("of the threshold", "thresholded", ("count_error",), "{:.2f}", 1),
)


def scores_table(
    results: Evaluated,
    title: str,
    header: Sequence[str],
    rows: Iterable[tuple[Sequence[str], Sequence[Any]]],
    centred: bool = False,
) -> Table:
    """Return a table of the FAUC by each score, in percent.

    Parameters
    ----------
    results : what was evaluated
    title : of the table
    header : of the columns before those of the scores
    rows : what stands in these, and the cells that the row is the mean of
    centred : whether to add the scores of maps that were moved back
    """
    columns = [(score, back) for back in (False, True)[: 1 + centred] for score in SCORES]
    of = results.evaluations.__getitem__
    table: list[tuple[str, ...]] = []
    bold = set()
    for names, cells in rows:
        found = [mean(mean(_fauc(each, score, back) for each in of(cell)) for cell in cells) for score, back in columns]
        printed = [number(value, form="{:.1f}", unit=100) for value in found]
        known = [text for text, value in zip(printed, found, strict=True) if value is not None]
        highest = max(known, key=float, default=None)
        bold |= {(len(table), len(names) + place) for place, value in enumerate(printed) if value == highest}
        table.append((*names, *printed))
    return Table(
        title,
        (*header, *(f"{score}, centred" if back else score for score, back in columns)),
        tuple(table),
        frozenset(bold),
        _NOTE + _CENTRED * centred,
    )


def tuned_table(
    results: Evaluated, title: str, header: Sequence[str], rows: Iterable[tuple[Sequence[str], Sequence[Any]]]
) -> Table:
    """Return a table of what smoothing and a threshold, both told by counts, make of detection.

    Parameters are those of `scores_table`.
    """
    table = []
    for names, cells in rows:
        found = [results.evaluations[cell] for cell in cells]
        sigmas = [each["tuned"]["sigma_vox"] for cell in found for each in cell]
        printed = [
            number(mean(mean(_sum(each[name], figures) for each in cell) for cell in found), form=form, unit=unit)
            for _, name, figures, form, unit in _TOLD_COLUMNS
        ]
        table.append((*names, *printed, " to ".join(f"{end:g}" for end in sorted({min(sigmas), max(sigmas)}))))
    return Table(title, (*header, *(column[0] for column in _TOLD_COLUMNS), "sigma (voxels)"), tuple(table), note=_TOLD)


def _sum(found: Mapping[str, Any], figures: Sequence[str]) -> float | None:
    values = [found[figure]["value"] for figure in figures]
    return None if None in values else sum(values)


def _fauc(found: Mapping[str, Any], score: str, back: bool) -> float | None:
    if back:
        if found["centred"] is None:
            return None
        found = {**found, **found["centred"]}
    value: float | None = found[score]["fauc"]["value"]
    return value
