"""Perivascular spaces (PVS) of a region: how many, where, which way."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakspot.data.phantom.directions import Directions, tilted
from weakspot.data.phantom.settings import RegionSettings
from weakspot.data.phantom.shapes import Tube
from weakspot.data.phantom.zones import Zone

FloatArray = NDArray[np.float64]
VERTICES = 9
TRIES = 60  # to place one, before the region counts as full
APART_MM = 3.5  # of the axes of two PVS: more than the 3 mm within which a detection is a hit (paper 3.7)
EDGE_MM = 1.5  # what a PVS is drawn around keeps this far from the region's border
MIDBRAIN_EDGE_MM = 3.0  # there PVS are almost always in the middle (paper 5)
TILT_DEG = 15.0


@dataclass(frozen=True, eq=False)
class Pvs:
    """One perivascular space.

    Attributes
    ----------
    tube : Tube
    point : (3,)
        World mm: the middle of its axis, where it is widest; in an annotated slice where its axis crosses it.
    contrast : float
        Share of the way from the tissue's signal to that of fluid.
    annotated : bool
        Whether a rater would mark it: all, or those that cross the annotated slice.
    """

    tube: Tube
    point: FloatArray
    contrast: float
    annotated: bool

    @property
    def length_mm(self) -> float:
        """Along its axis."""
        return float(np.linalg.norm(np.diff(self.tube.line, axis=0), axis=1).sum())

    @property
    def diameter_mm(self) -> float:
        """Where it is widest."""
        return float(2 * self.tube.radii.max())


def place_pvs(
    zone: Zone, settings: RegionSettings, along: Directions, thickness_mm: float, rng: np.random.Generator
) -> list[Pvs]:
    """Draw the PVS of one region.

    Their mean number is gamma distributed, their number Poisson. Where one slice is annotated, that is the number of
    those that cross it; above and below it others lie equally densely, which are not annotated and stay clear of the
    slice. A region that is full takes no more.

    Parameters
    ----------
    zone
        The region.
    settings
        Its numbers.
    along
        What ``vessels`` returned.
    thickness_mm
        Of a slice.
    rng
        Draws everything.
    """
    mean = rng.gamma(settings.shape, settings.count / settings.shape)
    annotated, others = rng.poisson(mean), 0.0
    edge = min(MIDBRAIN_EDGE_MM if zone.name == "midbrain" else EDGE_MM, float(zone.inner_mm.max()) / 2)
    places = np.argwhere(zone.inner_mm >= edge)
    if zone.slice_mm is not None:
        heights = zone.world(places) @ zone.up - zone.slice_mm
        voxel = float(np.abs(zone.up @ zone.affine[:3, :3]).sum())
        inside = np.abs(heights) <= voxel / 2
        span = np.mean(settings.length_mm) / 2 + thickness_mm  # how high a PVS reaches, at some 30 degrees
        others = mean * len(places) / max(inside.sum(), 1) * voxel / span
        everywhere, places = places, places[inside]
    found: list[Pvs] = []
    for _ in range(annotated):
        found += _one(zone, settings, along, places, zone.slice_mm, 0.0, found, rng)
    if zone.slice_mm is not None:
        for _ in range(rng.poisson(others)):
            found += _one(zone, settings, along, everywhere, None, thickness_mm / 2, found, rng)
    return found


def _one(
    zone: Zone,
    settings: RegionSettings,
    along: Directions,
    places: NDArray[np.int64],
    slice_mm: float | None,
    clear_mm: float,
    others: list[Pvs],
    rng: np.random.Generator,
) -> list[Pvs]:
    """Return one more PVS that keeps away from the others, or none if the region has no room.

    With ``slice_mm`` it crosses that height, otherwise with ``clear_mm`` it stays that far from the annotated slice.
    """
    taken = np.concatenate([each.tube.line for each in others]) if others else np.zeros((0, 3))
    length, diameter = rng.uniform(*settings.length_mm), rng.uniform(*settings.diameter_mm)
    contrast = rng.uniform(*settings.contrast)
    for _ in range(TRIES if len(places) else 0):
        anchor = zone.world(places[rng.integers(len(places))] + rng.uniform(-0.5, 0.5, 3))
        if slice_mm is not None:
            anchor = anchor + zone.up * (slice_mm - zone.up @ anchor)
        direction = tilted(along(anchor), TILT_DEG, rng)
        aside = np.cross(direction, rng.normal(size=3))
        aside /= np.linalg.norm(aside)
        start = rng.uniform(0.2, 0.8) if slice_mm is not None else 0.5  # what part of it lies behind the anchor
        way = np.linspace(-start, 1 - start, VERTICES)[:, None]
        line = anchor + length * (way * direction + rng.uniform(0, 0.3) * way**2 * aside)
        line = _inside(zone, line, int(np.argmin(np.abs(way))))
        if len(line) < 2:
            continue
        middle = np.linspace(-1, 1, len(line))
        radii = diameter / 2 * (1 - 0.4 * middle**2)
        heights = line @ zone.up - (zone.slice_mm or 0.0)
        if slice_mm is not None and not heights.min() <= 0 <= heights.max():
            continue
        if clear_mm and (np.abs(heights) - radii).min() < clear_mm:
            continue
        if clear_mm and heights.min() < 0 < heights.max():
            continue
        if len(taken) and np.linalg.norm(line[:, None] - taken, axis=2).min() < APART_MM:
            continue
        tube = Tube(line, radii)
        point = _at(line, heights) if slice_mm is not None else line[len(line) // 2]
        return [Pvs(tube, point, contrast, annotated=not clear_mm)]
    return []


def _inside(zone: Zone, line: FloatArray, anchor: int) -> FloatArray:
    """Return the run of vertices around the anchor that lies in the region, with the middle one a vertex."""
    outside = np.flatnonzero(~zone.holds(line))
    first = max((each + 1 for each in outside if each <= anchor), default=0)
    last = min((each for each in outside if each > anchor), default=len(line))
    run = line[first:last]
    return run if len(run) % 2 else run[:-1]


def _at(line: FloatArray, heights: FloatArray) -> FloatArray:
    """Return where the line first crosses height 0."""
    for place in range(len(line) - 1):
        low, high = heights[place], heights[place + 1]
        if low * high <= 0 and low != high:
            return np.asarray(line[place] + low / (low - high) * (line[place + 1] - line[place]))
    return np.asarray(line[int(np.argmin(np.abs(heights)))])
