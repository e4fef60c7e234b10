"""What phantoms are made with: the numbers of each region, of the scan and of the variation between subjects."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weakspot.data.problems import refuse
from weakspot.errors import InputError
from weakspot.settings import from_dict, to_dict

Range = tuple[float, float]
REGIONS = ("midbrain", "hippocampi", "basal_ganglia", "centrum_semiovale")
MAX_DIAMETER_MM = 3.0  # of an enlarged perivascular space (paper 3.7, after Adams et al. 2013)


class _Checked:
    """Lists made tuples, as JSON has no tuples; numbers and ranges must be finite and at least 0."""

    def __post_init__(self) -> None:
        problems = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.type is str or dataclasses.is_dataclass(value):
                continue
            numbers = list(value) if isinstance(value, list | tuple) else [value]
            wanted = 3 if field.name == "spacing_mm" else 2 if field.type is Range else 1
            if len(numbers) != wanted or not all(_is_number(each) for each in numbers):
                shape = "a number" if wanted == 1 else f"{wanted} numbers"
                problems.append(
                    f"{field.name} is {value!r}: expected {shape}{' above 0' if wanted == 3 else ', at least 0'}"
                )
            elif field.type is Range and numbers[0] > numbers[1]:
                problems.append(f"{field.name} is {value!r}, not a range from low to high")
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
        refuse("settings of phantoms", problems)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


@dataclass(frozen=True)
class RegionSettings(_Checked):
    """One region's perivascular spaces (PVS), what else is bright in it, and its rater.

    Ranges are drawn from uniformly. Contrast is the share of the way from the tissue's signal to that of
    cerebrospinal fluid.

    Attributes
    ----------
    count : float
        Mean number of annotated PVS: in the region or, where one slice is annotated, of those that cross it.
    shape : float
        The number is Poisson with a gamma mean of this shape (negative binomial): variance count + count^2 / shape,
        and no PVS with probability (1 + count / shape)^-shape.
    diameter_mm, length_mm, contrast : (low, high)
        Of a PVS; the diameter is the largest along it, at most 3 mm.
    wmh, wmh_diameter_mm, wmh_contrast : float, (low, high), (low, high)
        White matter hyperintensities (elsewhere, patches like them): mean number, size, contrast.
    lacunes, lacune_diameter_mm : float, (low, high)
        Cavities filled with fluid: mean number, size.
    sulci, sulcus_length_mm : float, (low, high)
        Thin sheets of fluid at the region's border that the segmentation does not know: in the centrum semiovale
        the bottoms of sulci, elsewhere fissures along the border. Mean number, length.
    missed : float
        Share of the PVS that the simulated rater misses.
    added : float
        Points that the rater adds, as a share of ``count``.
    """

    count: float
    diameter_mm: Range
    length_mm: Range
    contrast: Range
    missed: float
    added: float
    shape: float = 1.0
    wmh: float = 0.0
    wmh_diameter_mm: Range = (3.0, 9.0)
    wmh_contrast: Range = (0.3, 0.5)
    lacunes: float = 0.0
    lacune_diameter_mm: Range = (3.0, 8.0)
    sulci: float = 0.0
    sulcus_length_mm: Range = (6.0, 12.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        problems = [f"{name} is {getattr(self, name)}, more than 1" for name in ("missed",) if getattr(self, name) > 1]
        if self.diameter_mm[1] > MAX_DIAMETER_MM:
            problems.append(f"diameter_mm is {self.diameter_mm}, more than {MAX_DIAMETER_MM:g} mm for a PVS")
        problems += [
            f"{name} holds 0" for name in ("shape", "diameter_mm", "length_mm") if not np.min(getattr(self, name))
        ]
        refuse("settings of phantoms", problems)


@dataclass(frozen=True)
class ScanSettings(_Checked):
    """The scan.

    Attributes
    ----------
    spacing_mm : (3,)
        Voxel size; the third axis is that of the slices.
    orientation : str
        Where the three axes point, as in nibabel: ``RAS``, ``LPS`` ...; the third is S or I.
    oblique_deg : float
        Turns the slices away from the world's axes.
    resolution_mm : float
        Full width at half maximum of the in-plane point spread: scanners interpolate.
    margin_mm : float
        Around the regions asked for; the field of view ends there.
    noise : float
        Standard deviation of the Rician noise's two channels, as a share of the white matter's signal.
    bias : float
        Standard deviation of the logarithm of the bias field.
    texture : float
        Standard deviation of the tissue's smooth variation, as a share of its signal.
    """

    spacing_mm: tuple[float, float, float] = (0.49, 0.49, 0.8)
    orientation: str = "RAS"
    oblique_deg: float = 0.0
    resolution_mm: float = 0.8
    margin_mm: float = 4.0
    noise: float = 0.04
    bias: float = 0.1
    texture: float = 0.03

    def __post_init__(self) -> None:
        super().__post_init__()
        problems = []
        if not 0.1 <= min(self.spacing_mm) <= max(self.spacing_mm) <= 5:
            problems.append(f"spacing_mm is {self.spacing_mm}, not three numbers from 0.1 to 5")
        pairs = sorted(
            "".join(sorted(pair)) for pair in ("LR", "AP", "IS") for letter in self.orientation if letter in pair
        )
        if len(self.orientation) != 3 or pairs != ["AP", "IS", "LR"] or self.orientation[2] not in "IS":
            problems.append(f"orientation is {self.orientation!r}, not such as RAS or LPI, the third letter S or I")
        if self.oblique_deg > 40:
            problems.append(f"oblique_deg is {self.oblique_deg:g}, more than 40: the slices would not be axial")
        refuse("settings of phantoms", problems)


@dataclass(frozen=True)
class VariationSettings(_Checked):
    """How subjects differ: standard deviations of rotation about and scaling along each axis, and of displacement."""

    rotation_deg: float = 4.0
    scale: float = 0.04
    displacement_mm: float = 1.5
    tissue: float = 0.04


@dataclass(frozen=True)
class PhantomSettings(_Checked):
    """All settings of phantoms. The defaults follow the paper.

    Mean counts are those its Tables 2 and 4 imply, missed / (1 - sensitivity): 2.7, 3.8, 4.6, 11.8. In midbrain
    and basal ganglia PVS are the brightest there is, save for lacunes and fissures of the basal ganglia; in hippocampi
    and centrum semiovale the fluid around them is brighter (4.3). How often raters err is our choice; the paper draws
    it in Figure 7 only.
    """

    midbrain: RegionSettings = RegionSettings(
        count=2.7, diameter_mm=(1.2, 2.6), length_mm=(2.0, 5.0), contrast=(0.75, 1.0), missed=0.1, added=0.1
    )
    hippocampi: RegionSettings = RegionSettings(
        count=3.8,
        diameter_mm=(1.2, 2.6),
        length_mm=(2.0, 6.0),
        contrast=(0.35, 0.55),
        sulci=20.0,
        missed=0.15,
        added=0.15,
    )
    basal_ganglia: RegionSettings = RegionSettings(
        count=4.6,
        diameter_mm=(1.2, 2.8),
        length_mm=(4.0, 12.0),
        contrast=(0.55, 0.95),
        wmh=4.0,
        wmh_diameter_mm=(3.0, 6.0),
        lacunes=2.0,
        sulci=12.0,
        missed=0.25,
        added=0.25,
    )
    centrum_semiovale: RegionSettings = RegionSettings(
        count=11.8,
        diameter_mm=(1.0, 2.4),
        length_mm=(5.0, 15.0),
        contrast=(0.25, 0.5),
        wmh=8.0,
        wmh_contrast=(0.4, 0.7),
        lacunes=0.3,
        sulci=45.0,
        missed=0.3,
        added=0.3,
    )
    scan: ScanSettings = ScanSettings()
    variation: VariationSettings = VariationSettings()

    def region(self, name: str) -> RegionSettings:
        """Return the settings of a region."""
        found: RegionSettings = getattr(self, name)
        return found


def with_changes(settings: PhantomSettings, changes: Mapping[str, Any]) -> PhantomSettings:
    """Return ``settings`` with some of its numbers changed, named as in ``to_dict``; a name not known is an error.

    >>> with_changes(PhantomSettings(), {"midbrain": {"count": 5}}).midbrain.count
    5
    """
    known = to_dict(settings)
    wrong = [f"{key} is {value!r}, not a mapping" for key, value in changes.items() if not isinstance(value, Mapping)]
    refuse("settings of phantoms", wrong)
    merged = {**known, **{key: {**known.get(key, {}), **value} for key, value in changes.items()}}
    return from_dict(PhantomSettings, merged, "settings of phantoms")


def scaled(
    settings: PhantomSettings, count: float = 1, size: float = 1, contrast: float = 1, distractors: float = 1
) -> PhantomSettings:
    """Return ``settings`` with factors on every region's PVS and distractors, for ablations.

    Parameters
    ----------
    settings
        What to start from.
    count, size, contrast
        Factors of the mean count, the diameters (at most 3 mm) and the contrast (at most 1) of PVS.
    distractors
        Factor of the mean numbers of hyperintensities, lacunes and sulci; 0 removes them.
    """
    for name, factor in (("count", count), ("size", size), ("contrast", contrast), ("distractors", distractors)):
        if not _is_number(factor) or (name == "size" and not factor):
            raise InputError(
                f"the factor of {name} is {factor}, not a number {'above' if name == 'size' else 'from'} 0"
            )
    changed: dict[str, Any] = {}
    for name in REGIONS:
        own = settings.region(name)
        changed[name] = dataclasses.replace(
            own,
            count=own.count * count,
            diameter_mm=_within(own.diameter_mm, size, MAX_DIAMETER_MM),
            contrast=_within(own.contrast, contrast, 1.0),
            wmh=own.wmh * distractors,
            lacunes=own.lacunes * distractors,
            sulci=own.sulci * distractors,
        )
    return dataclasses.replace(settings, **changed)


def _within(interval: Range, factor: float, limit: float) -> Range:
    return min(interval[0] * factor, limit), min(interval[1] * factor, limit)
