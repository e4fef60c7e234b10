"""Subjects that differ: a random affine map and a smooth displacement of one anatomy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from weakspot.data.phantom.settings import VariationSettings

FloatArray = NDArray[np.float64]
KNOTS_MM = 30.0  # distance of the points whose displacement is drawn
STEP = 8  # the map is computed at every eighth voxel, and linear between: it is far smoother than that


@dataclass(frozen=True, eq=False)
class Warp:
    """From a subject's world to the anatomy it is made from: ``centre + matrix (x - centre) + displacement(x)``.

    Attributes
    ----------
    centre : (3,)
        In mm.
    matrix : (3, 3)
    knots : (3, a, b, c)
        Displacements in mm at points ``KNOTS_MM`` apart, cubic splines between; the middle knot is at ``centre``.
    """

    centre: FloatArray
    matrix: FloatArray
    knots: FloatArray

    def __call__(self, world: FloatArray) -> FloatArray:
        """Return where points (..., 3) of the subject lie in the anatomy, in mm."""
        offset = world - self.centre
        middle = (np.array(self.knots.shape[1:]) - 1) / 2
        places = np.moveaxis(offset / KNOTS_MM + middle, -1, 0)
        moved = [ndimage.map_coordinates(each, places, order=3, mode="nearest") for each in self.knots]
        return np.asarray(self.centre + offset @ self.matrix.T + np.stack(moved, -1))


def draw_warp(centre: FloatArray, variation: VariationSettings, rng: np.random.Generator) -> Warp:
    """Draw one subject's map around the brain's centre."""
    turn = Rotation.from_euler("xyz", rng.normal(0, variation.rotation_deg, 3), degrees=True).as_matrix()
    scale = np.diag(np.exp(rng.normal(0, variation.scale, 3)))
    knots = rng.normal(0, variation.displacement_mm, (3, 9, 9, 9))
    return Warp(centre, turn @ scale, knots)


def coordinates(warp: Warp, affine: FloatArray, size: tuple[int, ...], source: FloatArray) -> NDArray[np.float32]:
    """Return (3, *size) the voxel indices in the anatomy of every voxel of a subject's grid.

    Parameters
    ----------
    warp
        The subject.
    affine, size
        (4, 4) and (3,) the grid.
    source
        (4, 4) the anatomy's affine.
    """
    coarse = [np.arange(0, n + STEP, STEP) for n in size]
    grid = np.stack(np.meshgrid(*coarse, indexing="ij"), -1)
    world = warp(grid @ affine[:3, :3].T + affine[:3, 3])
    field = np.linalg.solve(source[:3, :3], (world - source[:3, 3])[..., None])[..., 0].astype(np.float32)
    for axis, (n, knots) in enumerate(zip(size, coarse, strict=True)):
        hats = np.maximum(0, 1 - np.abs(np.arange(n)[:, None] - knots) / STEP).astype(np.float32)
        field = np.moveaxis(np.tensordot(hats, field, (1, axis)), 0, axis)
    return np.moveaxis(field, -1, 0)


def pull_labels(labels: NDArray[np.int16], places: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return the labels at (3, ...) voxel indices, nearest neighbour; beyond the volume, that of its edge."""
    flat = np.zeros(places.shape[1:], np.int32)
    for each, n in zip(places, labels.shape, strict=True):
        flat *= n
        flat += np.clip(np.rint(each), 0, n - 1).astype(np.int32)
    return labels.ravel()[flat]
