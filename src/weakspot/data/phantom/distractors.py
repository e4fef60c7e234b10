"""What is bright and no perivascular space: white matter hyperintensities, lacunes, and sulci unseen by the mask."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakspot.data.phantom.directions import Directions
from weakspot.data.phantom.pvs import Pvs
from weakspot.data.phantom.settings import RegionSettings
from weakspot.data.phantom.shapes import Ellipsoid
from weakspot.data.phantom.zones import Zone

FloatArray = NDArray[np.float64]
TRIES = 60
CLEAR_MM = 2.5  # between the border of a distractor and the axis of a PVS
SULCUS_MM = (1.0, 1.8)  # how thick
NEAR_BORDER_MM = 2.5  # a sulcus lies this near to the region's border


@dataclass(frozen=True, eq=False)
class Distractor:
    """One bright thing that is no PVS: ``kind`` is ``wmh``, ``lacune`` or ``sulcus``; made of ``parts``."""

    kind: str
    parts: tuple[Ellipsoid, ...]
    contrast: float

    @property
    def point(self) -> FloatArray:
        """Its middle, in world mm."""
        return self.parts[0].centre

    @property
    def diameter_mm(self) -> float:
        """The longest of its first part."""
        return float(2 * np.linalg.norm(self.parts[0].axes, axis=1).max())


def place_distractors(
    zone: Zone, settings: RegionSettings, along: Directions, pvs: list[Pvs], rng: np.random.Generator
) -> list[Distractor]:
    """Draw the distractors of one region, Poisson numbers of each kind, clear of its PVS.

    Hyperintensities are irregular and soft, lacunes ovoid and sharp. Sulci are thin sheets: in the centrum semiovale
    they come in from the border and hold the direction of the vessels, elsewhere they follow the border.
    """
    taken = np.concatenate([each.tube.line for each in pvs]) if pvs else np.zeros((0, 3))
    everywhere, border = zone.inner_mm > 0, (zone.inner_mm > 0) & (zone.inner_mm <= NEAR_BORDER_MM)
    slopes = np.stack(list(np.gradient(zone.inner_mm)), -1) @ np.linalg.inv(zone.affine[:3, :3])
    found: list[Distractor] = []
    for kind, mean, mask in (
        ("wmh", settings.wmh, everywhere),
        ("lacune", settings.lacunes, everywhere),
        ("sulcus", settings.sulci, border),
    ):
        places = np.argwhere(mask)
        for _ in range(rng.poisson(mean) if len(places) else 0):
            own = rng.spawn(1)[0]
            for _ in range(TRIES):
                place = places[own.integers(len(places))]
                point = zone.world(place + own.uniform(-0.5, 0.5, 3))
                one = _draw(kind, point, slopes[tuple(place)], zone, settings, along, own)
                if not len(taken) or max(_touches(part, taken) for part in one.parts) < 0:
                    found.append(one)
                    break
    return found


def _touches(part: Ellipsoid, points: FloatArray) -> float:
    """Return the greatest depth, in mm, of points in an ellipsoid grown by ``CLEAR_MM``."""
    lengths = np.linalg.norm(part.axes, axis=1, keepdims=True)
    grown = Ellipsoid(part.centre, part.axes * (1 + CLEAR_MM / lengths))
    return float((1 - grown.reach(points)).max())


def _draw(
    kind: str,
    point: FloatArray,
    slope: FloatArray,
    zone: Zone,
    settings: RegionSettings,
    along: Directions,
    rng: np.random.Generator,
) -> Distractor:
    if kind == "wmh":
        half = rng.uniform(*settings.wmh_diameter_mm) / 2
        parts = []
        for number in range(3):  # overlapping, so that the whole is irregular
            centre = point + (rng.normal(0, half / 2.5, 3) if number else 0)
            parts.append(Ellipsoid(centre, _frame(rng.normal(size=3), rng) * (half * rng.uniform(0.5, 1, (3, 1))), 0.6))
        return Distractor(kind, tuple(parts), rng.uniform(*settings.wmh_contrast))
    if kind == "lacune":
        half = rng.uniform(*settings.lacune_diameter_mm) / 2
        axes = _frame(along(point), rng) * (half * np.array([[1.0], [rng.uniform(0.6, 1)], [rng.uniform(0.6, 1)]]))
        return Distractor(kind, (Ellipsoid(point, axes, 0.15),), 0.95)
    length, thick = rng.uniform(*settings.sulcus_length_mm), rng.uniform(*SULCUS_MM)
    inwards = slope if np.linalg.norm(slope) > 1e-6 else rng.normal(size=3)
    if zone.name == "centrum_semiovale":
        inwards = inwards - zone.up * (zone.up @ inwards)  # sulci there stand upright
        normal = np.cross(inwards if np.linalg.norm(inwards) > 1e-6 else along(point), zone.up)
    else:
        normal = inwards
    axes = _frame(normal, rng) * np.array([[thick], [length], [length * rng.uniform(0.5, 0.9)]]) / 2
    return Distractor(kind, (Ellipsoid(point, axes, 0.4),), 1.0)


def _frame(first: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return three orthogonal unit vectors, rows, the first along ``first``, turned about it at random."""
    columns = np.linalg.qr(np.column_stack([first, rng.normal(size=(3, 2))]))[0]
    return np.asarray(columns.T)
