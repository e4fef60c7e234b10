"""Shapes in space and the part of each voxel that they fill."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
SUBVOXELS = 4  # along each axis, where a tube's border passes


@dataclass(frozen=True, eq=False)
class Tube:
    """A bent tube with round ends.

    Attributes
    ----------
    line : (vertices, 3)
        Its axis, in mm.
    radii : (vertices,)
        In mm; linear between the vertices.
    """

    line: FloatArray
    radii: FloatArray

    def depth(self, points: FloatArray) -> FloatArray:
        """Return (n,) how deep below the surface each of the (n, 3) points lies, in mm; negative outside."""
        deepest = np.full(len(points), -np.inf)
        for (start, end), (first, last) in zip(
            itertools.pairwise(self.line), itertools.pairwise(self.radii), strict=True
        ):
            along = end - start
            place = np.clip((points - start) @ along / max(along @ along, 1e-12), 0, 1)
            distance = np.linalg.norm(points - start - place[:, None] * along, axis=1)
            np.maximum(deepest, first + place * (last - first) - distance, out=deepest)
        return deepest

    @property
    def box(self) -> tuple[FloatArray, FloatArray]:
        """The corners of a box around it, in mm."""
        return (self.line - self.radii[:, None]).min(0), (self.line + self.radii[:, None]).max(0)


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """An ellipsoid, with a border that may be soft.

    Attributes
    ----------
    centre : (3,)
        In mm.
    axes : (3, 3)
        Its half axes, a row each, in mm.
    soft : float
        Share of the half axes over which it fades: 0 is sharp, 1 fades from the centre.
    """

    centre: FloatArray
    axes: FloatArray
    soft: float = 0.0

    def reach(self, points: FloatArray) -> FloatArray:
        """Return (n,) the distance of the points from the centre; 1 on the surface."""
        lengths = np.linalg.norm(self.axes, axis=1)
        return np.asarray(np.linalg.norm((points - self.centre) @ (self.axes / lengths[:, None] ** 2).T, axis=1))

    def depth(self, points: FloatArray) -> FloatArray:
        """Return (n,) a bound of how deep below the surface points lie, in mm: its sign is exact, and outside and
        near the surface no point is nearer to the surface than this says.
        """
        lengths = np.linalg.norm(self.axes, axis=1)
        return np.asarray((1 - self.reach(points)) * lengths.min())

    @property
    def box(self) -> tuple[FloatArray, FloatArray]:
        """The corners of a box around it, in mm."""
        half = np.linalg.norm(self.axes, axis=0)
        return self.centre - half, self.centre + half


def voxel_box(
    low: FloatArray, high: FloatArray, affine: FloatArray, size: tuple[int, ...]
) -> tuple[slice, slice, slice]:
    """Return the part of a volume that may hold anything between two corners in world mm.

    Parameters
    ----------
    low, high
        (3,) in mm.
    affine
        (4, 4) from voxel indices to world mm.
    size
        Of the volume, in voxels; what lies outside is left out.
    """
    corners = np.array(list(itertools.product(*zip(low, high, strict=True))))
    indices = np.linalg.solve(affine[:3, :3], (corners - affine[:3, 3]).T).T
    first = np.clip(np.floor(indices.min(0) - 0.5), 0, size).astype(int)
    last = np.clip(np.ceil(indices.max(0) + 0.5) + 1, first, size).astype(int)
    return slice(first[0], last[0]), slice(first[1], last[1]), slice(first[2], last[2])


def coverage(shape: Tube | Ellipsoid, affine: FloatArray, box: Sequence[slice]) -> FloatArray:
    """Return the part of each voxel of a box that a shape fills, in [0, 1].

    Voxels that a sharp surface may pass through are taken apart into 4 x 4 x 4 points; the others are full or empty.

    Parameters
    ----------
    shape
        In world mm.
    affine
        (4, 4) from voxel indices to world mm.
    box
        Three slices of voxel indices.
    """
    matrix = affine[:3, :3]
    grid = np.stack(np.meshgrid(*(np.arange(each.start, each.stop) for each in box), indexing="ij"), -1)
    centres = grid.reshape(-1, 3) @ matrix.T + affine[:3, 3]
    half = float(np.linalg.norm(matrix, axis=0).sum()) / 2  # no point of a voxel is farther from its centre
    if isinstance(shape, Ellipsoid) and shape.soft:
        slope = np.clip((1 - shape.reach(centres)) / shape.soft, 0, 1)
        return np.asarray(slope**2 * (3 - 2 * slope)).reshape(grid.shape[:-1])
    depth = shape.depth(centres)
    filled = (depth > 0).astype(float)
    border = np.abs(depth) < half
    steps = (np.arange(SUBVOXELS) + 0.5) / SUBVOXELS - 0.5
    within = np.array(list(itertools.product(steps, repeat=3))) @ matrix.T
    points = (centres[border][:, None] + within).reshape(-1, 3)
    filled[border] = (shape.depth(points) > 0).reshape(-1, len(within)).mean(1)
    return filled.reshape(grid.shape[:-1])
