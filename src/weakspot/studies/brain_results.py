"""The records of the brain study, and what they come to in the form of the paper's tables."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weakspot.data.phantom.settings import REGIONS
from weakspot.evaluation.significance import paired_bootstrap_p, wilcoxon_p
from weakspot.settings import from_dict
from weakspot.studies.brain import METHODS, study_units
from weakspot.studies.brain_data import Phantoms
from weakspot.studies.brain_settings import BrainSettings
from weakspot.studies.brain_units import Evaluation, Training
from weakspot.studies.cells import table_of, taken
from weakspot.studies.published import FIGURES, published
from weakspot.studies.units import Place

Cell = tuple[str, str, str]  # condition, method (of a training: architecture), region
ALPHA = 0.05
_SEED = re.compile(r".*-seed(\d+)")
_OF_EACH = {"sensitivity": "sensitivities", "fpavg": "fp", "fnavg": "fn"}  # values of single phantoms


@dataclass(frozen=True)
class BrainResults:
    """What was done.

    Attributes
    ----------
    phantoms : (condition, region) -> what was made
    trainings, evaluations : for each cell the results of its seeds, in their order
        As `weakspot.studies.brain_units` returns them, with ``seconds`` and the version ``weakspot`` or None.
    images : region -> the slice that the figures show
    maps : (method, region) -> the positive part of a map of it, to 8 bits, in units of the network
    left_out : records that count for nothing, each with the reason
    """

    phantoms: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    trainings: dict[Cell, list[dict[str, Any]]] = field(default_factory=dict)
    evaluations: dict[Cell, list[dict[str, Any]]] = field(default_factory=dict)
    images: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    maps: dict[tuple[str, str], NDArray[np.float64]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def targets(self, region: str) -> NDArray[np.float64]:
        """Return the PVS (n, 2) in the slice of `images`."""
        for method in METHODS:
            seeds = self.evaluations.get(("default", method, region))
            if seeds and (shown := seeds[0]["shown"]):
                return np.asarray(shown["targets"], float).reshape(-1, 2)
        return np.zeros((0, 2))


def study_of(place: Place) -> BrainSettings:
    """Return the settings that a study was begun with; raises as `Place.settings` does."""
    return from_dict(BrainSettings, place.settings(), str(place.out / "settings.json"))


def read_results(place: Place) -> BrainResults:
    """Read the records of a study that are of its settings, and the pictures beside them.

    Raises
    ------
    InputError
        The folder has no settings.
    """
    results, names = BrainResults(), place.names()
    seeds = 1 + max((int(match[1]) for name in names if (match := _SEED.fullmatch(name))), default=0)
    units = {unit.name: unit for unit in study_units(study_of(place), seeds=seeds)}
    for name in names:
        if name not in units and isinstance(reason := taken(place, name, None), str):
            results.left_out[name] = reason
    for name, unit in units.items():
        if name not in names:
            continue
        found = taken(place, name, unit)
        if isinstance(found, str):
            results.left_out[name] = found
        elif isinstance(unit, Phantoms):
            results.phantoms[unit.condition, unit.region] = found
        elif isinstance(unit, Training):
            cell = (unit.phantoms.condition, unit.architecture, unit.phantoms.region)
            results.trainings.setdefault(cell, []).append(found)
        elif isinstance(unit, Evaluation):
            results.evaluations.setdefault((unit.condition, unit.method, unit.phantoms.region), []).append(found)
            if found["shown"]:
                _read_pictures(place, unit, found["shown"]["high"], results)
    return results


def _read_pictures(place: Place, unit: Evaluation, high: float, results: BrainResults) -> None:
    region = unit.phantoms.region
    for name in (f"image-{region}", unit.name):
        path = place.units / f"{name}.png"
        try:
            with Image.open(path) as picture:
                pixels = np.asarray(picture)
        except OSError:
            results.left_out[path.name] = "missing or damaged; remove its evaluation's record, and it is made again"
            continue
        if name == unit.name:
            results.maps[unit.method, region] = pixels / 255 * high
        else:
            results.images[region] = pixels


def centred(results: BrainResults) -> BrainResults:
    """Return the figures of maps moved back by how far they lie off, where that is not known those of the maps.

    Without ``width_mm`` and ``offset_mm``, which are measured on the maps as they are.
    """

    def of(found: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in found.items() if name not in ("width_mm", "offset_mm")}
        return {**kept, **(found["centred"] or {})}

    evaluations = {cell: [of(each) for each in seeds] for cell, seeds in results.evaluations.items()}
    return replace(results, evaluations=evaluations)


def tables(results: BrainResults, condition: str = "default") -> dict[str, Any]:
    """Return our tables in the form of `weakspot.studies.published.published`, cells not run left out.

    A cell of several seeds is the mean over them, and so is each end of its interval (None where one is not defined).
    The average and (population) standard deviation are over the regions run.
    """

    def cell(region: str, method: str) -> Cell:
        return condition, method, region

    return {
        f"brain_{figure}": {
            **{name: published()[f"brain_{figure}"][name] for name in ("table", "unit")},
            **table_of(results, figure, figure in FIGURES[:2], REGIONS, tuple(METHODS), cell),
        }
        for figure in FIGURES
    }


def best_of(results: BrainResults, figure: str) -> dict[str, set[str]]:
    """Return for each region the best method, and those that are not significantly worse (5 %, section 3.7).

    FAUC is tested by a paired bootstrap, the others by Wilcoxon's test on the phantoms; of several seeds the means. No
    correction is made for the number of tests, nor is one in the paper.
    """
    found: dict[str, set[str]] = {}
    for region in REGIONS:
        values = {
            method: float(np.mean([each["height"][figure]["value"] for each in seeds]))
            for method in METHODS
            if (seeds := results.evaluations.get(("default", method, region)))
        }
        if len(values) > 1:
            best = (max if figure in FIGURES[:2] else min)(values, key=lambda method: values[method])
            found[region] = {
                method for method in values if method == best or not _p(results, figure, region, best, method) < ALPHA
            }
    return found


def _p(results: BrainResults, figure: str, region: str, best: str, other: str) -> float:
    cells = [("default", method, region) for method in (best, other)]
    if figure == "fauc":
        difference = Difference.of_fauc(results, "default", region, (best,), (other,))
        assert difference is not None
        return paired_bootstrap_p(difference.value, difference.resampled)
    first, second = (each_phantom(results, cell, _OF_EACH[figure]) for cell in cells)
    return wilcoxon_p(first, second, np.arange(len(first)))


def each_phantom(results: BrainResults, cell: Cell, name: str) -> NDArray[np.float64]:
    """Return a value of each phantom (n,), the mean over seeds; NaN where it is not defined."""
    return np.asarray(np.mean(np.array([each[name] for each in results.evaluations[cell]], float), axis=0))


@dataclass(frozen=True, eq=False)
class Difference:
    """A difference of two figures with its 95 % interval.

    Attributes
    ----------
    value : of all phantoms
    resampled : (resamples,) of phantoms drawn with replacement
    """

    value: float
    resampled: NDArray[np.float64]

    @property
    def ends(self) -> tuple[float, float]:
        """Lower and upper end of the interval."""
        low, high = np.nanquantile(self.resampled, (0.025, 0.975))
        return float(low), float(high)

    @classmethod
    def of_fauc(
        cls, results: BrainResults, condition: str, region: str, ones: Sequence[str], others: Sequence[str]
    ) -> "Difference | None":
        """Return the FAUC in percent of the best of some methods less that of the best of others, None where not run.

        Both are seen on the same draws; which is the best may change from one to the next.
        """
        sides = []
        for methods in (ones, others):
            cells = [results.evaluations.get((condition, method, region)) for method in methods]
            if not all(cells):
                return None
            values = [np.mean([each["height"]["fauc"]["value"] for each in seeds or []]) for seeds in cells]
            resampled = [
                np.mean(np.array([each["fauc_resampled"] for each in seeds or []], float), axis=0) for seeds in cells
            ]
            sides.append((float(np.max(values)), np.max(resampled, axis=0)))
        (one, of_one), (other, of_other) = sides
        return cls(100 * (one - other), 100 * (of_one - of_other))

    @classmethod
    def of_means(
        cls, firsts: Sequence[NDArray[np.float64]], second: NDArray[np.float64], resamples: int = 2000
    ) -> "Difference | None":
        """Return the lowest of several means over phantoms (n,) less another, over those where all are defined.

        Which is the lowest may change from one draw to the next.
        """
        values = np.stack([*firsts, second])
        values = values[:, np.isfinite(values).all(0)]
        if not (n := values.shape[1]):
            return None
        drawn = np.random.default_rng(0).integers(n, size=(resamples, n))
        value, resampled = (each[:-1].min(0) - each[-1] for each in (values.mean(1), values[:, drawn].mean(2)))
        return cls(float(value), resampled)


def rater_point(results: BrainResults, region: str, against: str) -> tuple[float, float] | None:
    """Return the simulated rater's false positives a phantom and sensitivity, the means of two ratings.

    Parameters
    ----------
    against : "rater_truth" the truth, as methods are, or "rater" the other rating, as in the paper's Figure 7
    """
    made = results.phantoms.get(("default", region))
    if made is None:
        return None
    rated = [(each["fp_avg"]["value"], each["sensitivity"]["value"]) for each in made[against]]
    fp, sensitivity = (float(np.mean(each)) for each in zip(*rated, strict=True))
    return fp, sensitivity
