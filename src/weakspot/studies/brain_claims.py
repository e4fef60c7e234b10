"""The claims of sections 4.3 and 5, each held against our figures on phantoms and, where it can be, the paper's own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from weakspot.data.phantom.settings import REGIONS
from weakspot.studies.brain import METHODS
from weakspot.studies.brain_results import BrainResults, Difference, each_phantom, rater_point
from weakspot.studies.brain_units import CURVE_FP
from weakspot.studies.fauc import NAMES as WEAK_NAMES
from weakspot.studies.verdict import Verdict

NAMES = {**{method: WEAK_NAMES[method] for method in METHODS if method in WEAK_NAMES}, "intensity": "Intensities"}
CAM = ("gp_unet", "gp_unet_no_residual", "gated_attention", "grad_cam")
GRADIENT = ("grad", "guided_backprop")
WEAK = CAM + GRADIENT
BRIGHTEST = ("midbrain", "basal_ganglia")  # where perivascular spaces are the brightest objects (sections 4.3, 5)
OUTSHONE = ("hippocampi", "centrum_semiovale")
AHEAD = 30.0  # points of FAUC that the best weakly supervised method is to be ahead of plain intensity

Apart = Callable[[BrainResults, str], Difference | None]  # of a region; above 0 speaks for the claim


@dataclass(frozen=True)
class Claim:
    """One statement, about each of some regions.

    Attributes
    ----------
    section, text, figure : where it is made, what it says, and where to see it
    regions : that it is about
    apart : what is to be above ``least``, of our results
    published : the same of the paper's tables, without an interval; None where they do not tell
    unit : of it
    least : what is to be exceeded
    as_they_are : whether it is measured on maps as they are alone, not on those moved back
    """

    section: str
    text: str
    figure: str
    regions: tuple[str, ...]
    apart: Apart
    published: Callable[[Mapping[str, Any], str], float] | None
    unit: str = "points of FAUC"
    least: float = 0.0
    as_they_are: bool = False

    def judge(self, results: BrainResults) -> Verdict:
        """Judge it by our results: it holds where the 95 % interval is above ``least`` in each of the regions.

        It does not hold where it is below in any of them; otherwise it is not decided.
        """
        found = {region: self.apart(results, region) for region in self.regions}
        run = {region: each for region, each in found.items() if each is not None}
        if not run:
            return Verdict(None)
        evidence = "; ".join(f"{_said(region)} {_interval(each)}" for region, each in run.items()) + f" {self.unit}"
        if any(each.ends[1] < self.least for each in run.values()):
            return Verdict(False, evidence=evidence)
        if len(run) < len(self.regions):
            return Verdict(None, False, evidence)
        decided = all(each.ends[0] > self.least for each in run.values())
        return Verdict(True, evidence=evidence) if decided else Verdict(None, True, evidence)

    def judge_published(self, paper: Mapping[str, Any]) -> str:
        """Say what the paper's own tables say, by the values alone."""
        if self.published is None:
            return "not in its tables"
        values = {region: self.published(paper, region) for region in self.regions}
        holds = all(value > self.least for value in values.values())
        evidence = "; ".join(f"{_said(region)} {value:+.2f}" for region, value in values.items())
        return f"{'holds' if holds else 'does not hold'} ({evidence} {self.unit})"


def _said(region: str) -> str:
    return region.replace("_", " ")


def _interval(difference: Difference) -> str:
    low, high = difference.ends
    return f"{difference.value:+.2f} ({low:+.2f} to {high:+.2f})"


def _best_ahead(ones: Sequence[str], others: Sequence[str], condition: str = "default") -> Apart:
    return lambda results, region: Difference.of_fauc(results, condition, region, ones, others)


def _fauc_of(ones: Sequence[str], others: Sequence[str]) -> Callable[[Mapping[str, Any], str], float]:
    def apart(paper: Mapping[str, Any], region: str) -> float:
        row = paper["brain_fauc"]["values"][region]
        return float(max(row[each]["value"] for each in ones) - max(row[each]["value"] for each in others))

    return apart


def _fewest(results: BrainResults, region: str) -> Difference | None:
    """Return how many more false positives the best of the others has than GP-Unet, at the predicted count."""
    cells = {method: ("default", method, region) for method in METHODS}
    if not all(cell in results.evaluations for cell in cells.values()):
        return None
    fp = {method: each_phantom(results, cell, "fp") for method, cell in cells.items()}
    ours = fp.pop("gp_unet")
    return Difference.of_means(list(fp.values()), ours)


def _fewest_published(paper: Mapping[str, Any], region: str) -> float:
    row = paper["brain_fpavg"]["values"][region]
    return float(min(row[each]["value"] for each in METHODS if each != "gp_unet") - row["gp_unet"]["value"])


def _narrower(results: BrainResults, region: str) -> Difference | None:
    """Return how much wider Grad-CAM's response to a PVS is than GP-Unet's, in mm."""
    cells = [("default", method, region) for method in ("grad_cam", "gp_unet")]
    if not all(cell in results.evaluations for cell in cells):
        return None
    wide, narrow = (each_phantom(results, cell, "width_mm") for cell in cells)
    return Difference.of_means([wide], narrow)


def _gain(condition: str, ones: Sequence[str], others: Sequence[str]) -> Apart:
    """Return how much more one side is ahead under a condition, with networks fine-tuned there, than by default.

    The brains are the same, and so are the draws; the networks differ by the fine-tuning, too.
    """

    def apart(results: BrainResults, region: str) -> Difference | None:
        changed, before = (Difference.of_fauc(results, each, region, ones, others) for each in (condition, "default"))
        if changed is None or before is None:
            return None
        return Difference(changed.value - before.value, changed.resampled - before.resampled)

    return apart


_INTENSITY = ("intensity",)
CLAIMS = (
    Claim(
        "4.3, 5",
        "Gradient methods win where PVS are the brightest objects: the best of them against the best CAM method",
        "Figure 7, Table 1",
        BRIGHTEST,
        _best_ahead(GRADIENT, CAM),
        _fauc_of(GRADIENT, CAM),
    ),
    Claim(
        "4.3, 5",
        "CAM methods win where PVS are not the brightest: the best of them against the best gradient method",
        "Figure 7, Table 1",
        OUTSHONE,
        _best_ahead(CAM, GRADIENT),
        _fauc_of(CAM, GRADIENT),
    ),
    Claim(
        "abstract, 4.3",
        "GP-Unet has the fewest false positives at the predicted count: those that the best other method has more",
        "Table 3",
        REGIONS,
        _fewest,
        _fewest_published,
        "a scan",
    ),
    Claim(
        "4.3",
        f"Intensity fails in hippocampi and centrum semiovale: the best weakly supervised method is {AHEAD:g} points "
        "ahead",
        "Figure 7, Table 1",
        OUTSHONE,
        _best_ahead(WEAK, _INTENSITY),
        _fauc_of(WEAK, _INTENSITY),
        least=AHEAD,
    ),
    Claim(
        "5",
        "GP-Unet's maps are sharper than Grad-CAM's: width of the response around a PVS, by which Grad-CAM's is wider",
        "Figures 8-11",
        REGIONS,
        _narrower,
        None,
        "mm",
        as_they_are=True,
    ),
    Claim(
        "4.3",
        "In 3D GP-Unet, the residual version, beats GP-Unet no residual",
        "Figure 7, Table 1",
        REGIONS,
        _best_ahead(("gp_unet",), ("gp_unet_no_residual",)),
        _fauc_of(("gp_unet",), ("gp_unet_no_residual",)),
    ),
    Claim(
        "ablation",
        "Without distractors, intensity gains on the best weakly supervised method where it failed",
        "table of conditions",
        OUTSHONE,
        _gain("no_distractors", _INTENSITY, WEAK),
        None,
    ),
    Claim(
        "ablation",
        "With PVS twice as bright, gradient methods gain on CAM methods where PVS were outshone",
        "table of conditions",
        OUTSHONE,
        _gain("bright", GRADIENT, CAM),
        None,
    ),
    Claim(
        "ablation",
        "With PVS half as bright, CAM methods gain on gradient methods where PVS were the brightest",
        "table of conditions",
        BRIGHTEST,
        _gain("faint", CAM, GRADIENT),
        None,
    ),
)


def curves_of(results: BrainResults, region: str) -> dict[str, Any]:
    """Return the curves under the default condition, ``{method: (n,) sensitivity}`` at `CURVE_FP`, means over seeds."""
    found = {method: results.evaluations.get(("default", method, region)) for method in METHODS}
    return {method: np.mean([each["curve"] for each in seeds], axis=0) for method, seeds in found.items() if seeds}


class BesideRater(NamedTuple):
    """The best method at the simulated rater's own false positives.

    Attributes
    ----------
    fp, sensitivity : of the rater, a phantom and 0-1
    method : the one whose sensitivity is highest there
    points : by how much it is above the rater's, in percent
    """

    fp: float
    sensitivity: float
    method: str
    points: float


def beside_rater(results: BrainResults, region: str, against: str) -> BesideRater | None:
    """Return how the best method of a region stands to the simulated rater, None where not run.

    Parameters
    ----------
    against : what the rater is held against, see `weakspot.studies.brain_results.rater_point`; methods are held
        against the truth
    """
    point, curves = rater_point(results, region, against), curves_of(results, region)
    if point is None or not curves:
        return None
    reached = {method: float(np.interp(point[0], CURVE_FP, each)) for method, each in curves.items()}
    best = max(reached, key=lambda method: reached[method])
    return BesideRater(*point, best, 100 * (reached[best] - point[1]))
