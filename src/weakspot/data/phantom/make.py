"""One phantom: a subject's anatomy, its perivascular spaces and distractors, and the scan of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from weakspot.data.phantom.directions import Directions, vessels
from weakspot.data.phantom.distractors import Distractor, place_distractors
from weakspot.data.phantom.frame import field_of_view, nearest_slice, scan_axes
from weakspot.data.phantom.pvs import Pvs, place_pvs
from weakspot.data.phantom.rater import choose_spots, rate
from weakspot.data.phantom.settings import REGIONS, PhantomSettings, RegionSettings
from weakspot.data.phantom.shapes import Ellipsoid, Tube, coverage, voxel_box
from weakspot.data.phantom.signal import FLUID, Volume, acquire, tissue_signal, tissue_table
from weakspot.data.phantom.warp import coordinates, draw_warp, pull_labels
from weakspot.data.phantom.zones import Zone, find_zone

FloatArray = NDArray[np.float64]
HIT_MM = 3.0  # a mark as near as this to a PVS would be a hit, no mistake


@dataclass(frozen=True, eq=False)
class RegionTruth:
    """What is known of one region. A point is an index of the phantom's voxels, whole at their centres.

    Attributes
    ----------
    points : (n, 3)
        The annotated PVS.
    slice : int or None
        The annotated slice, an index along the third axis.
    pvs : list of Pvs
        The annotated ones, in the order of ``points``, then those outside of the annotated slice.
    distractors : list of Distractor
    ratings : pair of (m, 3)
        What the simulated rater marked, the first time and the second.
    """

    points: FloatArray
    slice: int | None
    pvs: list[Pvs]
    distractors: list[Distractor]
    ratings: tuple[FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class Phantom:
    """A phantom, and all that is known of it.

    Attributes
    ----------
    values : (i, j, k) int16
        T2-weighted signal; fluid is about 1000.
    affine : (4, 4)
        From indices of ``values`` to world mm (RAS+).
    labels : (a, b, c) int16
        FreeSurfer's codes, on a grid of their own.
    labels_affine : (4, 4)
    regions : dict of RegionTruth
    """

    values: NDArray[np.int16]
    affine: FloatArray
    labels: NDArray[np.int16]
    labels_affine: FloatArray
    regions: dict[str, RegionTruth]

    @property
    def points(self) -> dict[str, FloatArray]:
        """The (n, 3) annotated PVS of each region."""
        return {name: truth.points for name, truth in self.regions.items()}

    def index(self, world: FloatArray) -> FloatArray:
        """Return a point (3,) in world mm as an index of ``values``."""
        return np.asarray(_indices(self.affine, world[None])[0])


def make_phantom(
    labels: NDArray[np.int16],
    affine: FloatArray,
    settings: PhantomSettings,
    rng: np.random.Generator,
    regions: Sequence[str] = REGIONS,
) -> Phantom:
    """Make one phantom. Its field of view is the regions and a margin around them.

    Anatomy, each region's PVS, its distractors, its rater and the scan draw from generators of their own, so that
    changing the one (no distractors, brighter PVS) leaves the others as they are; regions do not change each other.

    Parameters
    ----------
    labels
        (i, j, k) FreeSurfer's codes, made complete (``weakspot.data.phantom.anatomy.complete``).
    affine
        (4, 4) from voxel indices to world mm.
    settings
        All numbers.
    rng
        Draws everything.
    regions
        Which of ``REGIONS``.

    Raises
    ------
    InputError
        The labels lack what a region is found by.
    """
    of_anatomy, of_scan, *of_regions = rng.spawn(2 + len(REGIONS))
    middle = (np.argwhere(labels[::4, ::4, ::4] > 0) * 4).mean(0)
    warp = draw_warp(affine[:3, :3] @ middle + affine[:3, 3], settings.variation, of_anatomy)
    own = pull_labels(labels, coordinates(warp, affine, labels.shape, affine))
    axes, spacing = scan_axes(settings.scan), np.array(settings.scan.spacing_mm)
    up = axes[:, 2] * np.sign(axes[2, 2])
    zones = {name: find_zone(name, own, affine, up) for name in regions}
    grid, size = field_of_view(list(zones.values()), axes, spacing, settings.scan.margin_mm)
    table = tissue_table(settings.variation.tissue, of_anatomy)
    signal = tissue_signal(labels, table, coordinates(warp, grid, size, affine))

    found: dict[str, RegionTruth] = {}
    for name, zone in zones.items():
        streams = of_regions[REGIONS.index(name)].spawn(3)
        found[name] = _populate(zone, settings.region(name), vessels(zone, own, affine), grid, streams)
    for truth in found.values():
        for distractor in truth.distractors:
            _draw(signal, grid, distractor.parts, distractor.contrast)
    for truth in found.values():
        for pvs in truth.pvs:
            _draw(signal, grid, (pvs.tube,), pvs.contrast)
    return Phantom(acquire(signal, spacing, settings.scan, of_scan), grid, own, affine, found)


def _populate(
    zone: Zone, numbers: RegionSettings, along: Directions, grid: FloatArray, streams: Sequence[np.random.Generator]
) -> RegionTruth:
    """Fill one region, and have it rated."""
    index = None
    if zone.slice_mm is not None:  # the slice annotated is one of the scan's: PVS cross the height of its middle
        index, height = nearest_slice(zone.slice_mm, grid, zone.up)
        zone = replace(zone, slice_mm=height)
    thickness = float(np.linalg.norm(grid[:3, 2]))
    pvs = place_pvs(zone, numbers, along, thickness, streams[0])
    distractors = place_distractors(zone, numbers, along, pvs, streams[1])
    annotated = [each for each in pvs if each.annotated]
    points = _indices(grid, np.array([each.point for each in annotated]).reshape(-1, 3))
    places = _indices(grid, zone.world(np.argwhere(zone.mask)))
    tempting = _indices(grid, np.array([each.point for each in distractors]).reshape(-1, 3))
    if index is not None:
        points[:, 2] = index
        places, tempting = (each[np.abs(each[:, 2] - index) < 0.75] for each in (places, tempting))
        places[:, 2] = tempting[:, 2] = index
    apart = HIT_MM / np.linalg.norm(grid[:3, :3], axis=0)
    of_spots, *of_ratings = streams[2].spawn(3)
    spots = choose_spots(tempting, places, points, apart, of_spots)
    visibility = np.array([(each.diameter_mm, each.contrast) for each in annotated]).reshape(-1, 2)
    first, second = (rate(points, visibility, spots, numbers, index is not None, each) for each in of_ratings)
    return RegionTruth(points, index, pvs, distractors, (first, second))


def _draw(signal: Volume, grid: FloatArray, shapes: Sequence[Tube | Ellipsoid], contrast: float) -> None:
    """Raise the signal where any of the shapes is, in place: that share of the way to fluid, times the contrast."""
    low = np.min([shape.box[0] for shape in shapes], axis=0)
    high = np.max([shape.box[1] for shape in shapes], axis=0)
    box = voxel_box(low, high, grid, signal.shape)
    filled = np.max([coverage(shape, grid, box) for shape in shapes], axis=0)
    signal[box] += filled * contrast * np.maximum(FLUID - signal[box], 0)


def _indices(affine: FloatArray, world: FloatArray) -> FloatArray:
    """Return (n, 3) points in world mm as voxel indices."""
    return np.asarray(np.linalg.solve(affine[:3, :3], (world - affine[:3, 3]).T).T)
