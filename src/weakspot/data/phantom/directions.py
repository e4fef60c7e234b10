"""Which way perivascular spaces run: along the vessels of their region."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from weakspot.data.phantom.zones import Zone
from weakspot.data.regions import VENTRICLES

FloatArray = NDArray[np.float64]
Directions = Callable[[FloatArray], FloatArray]


def vessels(zone: Zone, labels: NDArray[np.int16], affine: FloatArray) -> Directions:
    """Return the function from a point of a region, in world mm, to the unit vector of the vessels there.

    Midbrain: upwards. Hippocampi: the long axis of the one the point is in. Basal ganglia: away from where the
    lenticulostriate arteries enter, the lowest twentieth of the nuclei of that side, so that they fan out. Centrum
    semiovale: towards the nearest point of the lateral ventricles.

    Parameters
    ----------
    zone
        The region.
    labels, affine
        The subject's label map.
    """
    if zone.name == "midbrain":
        return lambda point: zone.up
    if zone.name == "centrum_semiovale":
        walls = np.argwhere(np.isin(labels, VENTRICLES))[::3] @ affine[:3, :3].T + affine[:3, 3]
        tree = KDTree(walls)
        return lambda point: _unit(walls[tree.query(point)[1]] - point)
    places = zone.world(np.argwhere(zone.mask))
    middle = places[:, 0].mean()  # x is from left to right
    sides = [places[places[:, 0] < middle], places[places[:, 0] >= middle]]
    if zone.name == "hippocampi":
        axes = [np.linalg.svd(side - side.mean(0), full_matrices=False)[2][0] for side in sides]
        return lambda point: np.asarray(axes[int(point[0] >= middle)])
    entries = [side[(height := side @ zone.up) <= np.quantile(height, 0.05)].mean(0) for side in sides]
    return lambda point: _unit(point - entries[int(point[0] >= middle)])


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))


def tilted(direction: FloatArray, degrees: float, rng: np.random.Generator) -> FloatArray:
    """Return a unit vector near ``direction``; the tilt's two components are normal, of this standard deviation."""
    return _unit(direction + np.cross(direction, rng.normal(0, np.radians(degrees), 3)))
