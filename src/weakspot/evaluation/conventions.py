"""The choices that every figure of an evaluation hangs on, each by its name."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from weakspot.errors import InputError

# What each choice may be, and what it means.
CHOICES: dict[str, dict[str, str]] = {
    "matching": {
        "gated": "one-to-one within reach: the most pairs, among those the least total distance",
        "paper": "one-to-one, least total distance over all pairs, of which those within reach count",
        "greedy": "by descending score, each detection takes the nearest free object within reach",
    },
    "reach": {
        "radius_vox": "Euclidean distance in voxels",
        "radius_mm": "Euclidean distance in mm, by the spacing of each axis",
        "inside": "the object's extent, the box centred on it",
    },
    "averaging": {
        "image": "mean of the images' ratios, over the images where the ratio is defined",
        "object": "ratio of the sums over all images",
    },
    "selection": {
        "threshold": "one score threshold over all images, equal scores together",
        "top_k": "the k best of every image, equal scores in the order given",
    },
    "operating_point": {
        "count": "the n best of each image, n its predicted count, a half rounded up, at least 0",
        "threshold": "scores of at least the operating value",
        "top_k": "as many of the best of each image as the operating value",
        "all": "every detection",
    },
    "interval": {
        "percentile": "2.5th to 97.5th percentile of the bootstrap over subjects",
        "bca": "bias-corrected and accelerated bootstrap over subjects, 95 %",
    },
}
OF_CURVE = ("selection", "curve", "max_fp", "rates", "threshold_at_rate")  # what only a FROC curve hangs on


@dataclass(frozen=True)
class Conventions:
    """How to evaluate; the keys and meanings of the choices are in `CHOICES`.

    Attributes
    ----------
    matching, reach, averaging, selection, interval : a key of `CHOICES` each
        Under the matching "paper" a hit's distance is strictly below the radius, as in the first author's
        script.
    radius : in voxels or mm, not used by the reach "inside"
        Six voxels are the paper's for brain scans (section 3.7).
    max_fp : upper end of the range of average false positives per image that FAUC is taken over
    rates : false positives per image at which the sensitivity is read off the curve
    operating_point : a key of `CHOICES`, or None: "count" for detections that come with counts, else "all"
    operating_value : the threshold, or k
    resamples : of the bootstrap; 0 for no intervals
    seed : of the bootstrap
    """

    matching: str = "gated"
    reach: str = "radius_vox"
    radius: float = 6.0
    averaging: str = "image"
    selection: str = "threshold"
    max_fp: float = 5.0
    rates: tuple[float, ...] = (0.25, 0.5, 1, 2, 4, 8)
    operating_point: str | None = None
    operating_value: float | None = None
    interval: str = "percentile"
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for choice, known in CHOICES.items():
            given = getattr(self, choice)
            if given not in known and not (given is None and choice == "operating_point"):
                raise InputError(f"{choice} {given!r}: choose one of {', '.join(known)}")
        if not 0 <= self.radius < np.inf:
            raise InputError(f"radius {self.radius}: expected a finite number, at least 0")
        if not 0 < self.max_fp < np.inf:
            raise InputError(f"false positives up to {self.max_fp}: expected a finite number above 0")
        if not all(0 <= rate < np.inf for rate in self.rates):
            raise InputError(f"false-positive rates {self.rates}: expected finite numbers, at least 0")
        if self.resamples < 0:
            raise InputError(f"{self.resamples} resamples: expected at least 0")
        self._check_operating_value()

    def _check_operating_value(self) -> None:
        point, value = self.operating_point, self.operating_value
        if (value is not None) != (point in ("threshold", "top_k")):
            raise InputError(
                f"operating point {point!r} with the value {value}: a threshold or top_k has one, others none"
            )
        if value is None:
            return
        # Comparisons alone, since a whole number may be too large for a float.
        if not abs(value) < np.inf:
            raise InputError(f"operating value {value}: expected a finite number")
        if point == "top_k" and (value < 0 or value != value // 1):
            raise InputError(f"the {value} best of each image: expected a whole number, at least 0")

    def describe(self, curve: bool = True) -> dict[str, Any]:
        """Return every convention, JSON-ready, those that are not a matter of choice included.

        Without a ``curve``, those are left out that only a FROC curve hangs on.
        """
        sign, unit = ("<" if self.matching == "paper" else "<="), ("mm" if self.reach == "radius_mm" else "voxels")
        inside = self.reach == "inside"
        whole: dict[str, Any] = {
            "matching": self.matching,
            "reach": self.reach,
            "radius": None if inside else self.radius,
            "hit": "-extent/2 <= detection - object < extent/2 on every axis"
            if inside
            else f"distance {sign} {self.radius:g} {unit}",
            "averaging": self.averaging,
            "selection": self.selection,
            "curve": "from (0, 0), linear between its points, flat from the last one",
            "max_fp": self.max_fp,
            "rates": list(self.rates),
            "threshold_at_rate": "the one that keeps the most detections at no more false positives than the rate",
            "false_positives": "all that is kept and not matched, further hits of a found object too",
            "operating_point": self.operating_point,
            "operating_value": self.operating_value,
            "interval": self.interval,
            "level": 0.95,
            "resamples": self.resamples,
            "seed": self.seed,
        }
        named = {name: value for name, value in whole.items() if curve or name not in OF_CURVE}
        meaning = {choice: known[named[choice]] for choice, known in CHOICES.items() if named.get(choice)}
        return {**named, "meaning": meaning}
