"""The records of the MNIST study, and what they come to in the form of the paper's tables."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weakspot.settings import from_dict
from weakspot.studies.cells import table_of, taken
from weakspot.studies.mnist import ALL, COMPARED, DIGITS, objective_of
from weakspot.studies.mnist_data import MnistSettings
from weakspot.studies.mnist_units import Evaluation, Training
from weakspot.studies.published import published
from weakspot.studies.units import Place, Unit

Cell = tuple[str, str, int]  # objective, method (of a training: architecture), digit
_RECORD = re.compile(r"(train|evaluate)-([a-z]+)-([a-z_]+)-(\d)-seed(\d+)")
_IMAGE = re.compile(r"image-(\d)-(most|none)")
_MAP = re.compile(r"evaluate-([a-z]+)-([a-z_]+)-(\d)-seed0-(most|none)")


@dataclass(frozen=True)
class Results:
    """What was done.

    Attributes
    ----------
    trainings, evaluations : for each cell the results of its seeds, in their order
        As `weakspot.studies.mnist_units` returns them, with ``seed``, ``seconds`` and the version ``weakspot`` or None.
    images : (digit, which) -> the test image with the "most" targets, or the first with "none"
    maps : (objective, method, digit, which) -> the positive part of a map of it, to 8 bits, in units of the network
    left_out : records that count for nothing, each with the reason
    """

    trainings: dict[Cell, list[dict[str, Any]]] = field(default_factory=dict)
    evaluations: dict[Cell, list[dict[str, Any]]] = field(default_factory=dict)
    images: dict[tuple[int, str], NDArray[np.uint8]] = field(default_factory=dict)
    maps: dict[tuple[str, str, int, str], NDArray[np.float64]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def targets(self, digit: int, which: str) -> NDArray[np.float64]:
        """Return the centres (n, 2) of the targets in an image of `images`."""
        for (_, _, number), seeds in self.evaluations.items():
            if number == digit and (shown := seeds[0].get("shown", {}).get(which)):
                return np.asarray(shown["targets"], float).reshape(-1, 2)
        return np.zeros((0, 2))


def read_results(place: Place) -> Results:
    """Read the records of a study that are of its settings, and the pictures beside them.

    Raises
    ------
    InputError
        The folder has no settings.
    """
    results = Results()
    study = from_dict(MnistSettings, place.settings(), str(place.out / "settings.json"))
    named = [(int(match[5]), name, match) for name in place.names() if (match := _RECORD.fullmatch(name))]
    for seed, name, match in sorted(named, key=lambda each: each[:2]):
        unit = _unit(study, match[1], match[2], match[3], int(match[4]), seed)
        found = taken(place, name, unit)
        if isinstance(found, str):
            results.left_out[name] = found
        else:
            cells = results.trainings if match[1] == "train" else results.evaluations
            cells.setdefault((match[2], match[3], int(match[4])), []).append({"seed": seed, **found})
    for path in sorted(place.units.glob("*.png")):
        try:
            pixels = np.asarray(Image.open(path))
        except OSError:
            results.left_out[path.name] = "damaged; remove its evaluation's record, and the study runs it again"
            continue
        if match := _IMAGE.fullmatch(path.stem):
            results.images[int(match[1]), match[2]] = pixels
        elif match := _MAP.fullmatch(path.stem):
            cell, which = (match[1], match[2], int(match[3])), match[4]
            seeds = results.evaluations.get(cell)
            if seeds and (shown := seeds[0].get("shown", {}).get(which)):
                results.maps[*cell, which] = pixels / 255 * shown["high"]
    return results


def _unit(study: MnistSettings, kind: str, objective: str, name: str, digit: int, seed: int) -> Unit | None:
    if kind == "train":
        return Training(study, objective, name, digit, seed)
    if name not in ALL:
        return None
    architecture, attention = ALL[name]
    return Evaluation(Training(study, objective, architecture, digit, seed), name, attention)


def tables(results: Results) -> dict[str, Any]:
    """Return our tables in the form of `weakspot.studies.published.published`, cells not run left out.

    A cell of several seeds is the mean over them, and so is each end of its interval (None where one is not defined).
    The average and (population) standard deviation are over the digits run.
    """
    return {
        key: {"table": table["table"], "unit": table["unit"], **_table(results, key, table["unit"] == "percent")}
        for key, table in published().items()
        if key.startswith("mnist_")
    }


def _table(results: Results, name: str, percent: bool) -> dict[str, Any]:
    _, group, figure = name.split("_")
    objective, rows = objective_of(group), [str(digit) for digit in DIGITS]
    return table_of(results, figure, percent, rows, COMPARED[group], lambda row, method: (objective, method, int(row)))
