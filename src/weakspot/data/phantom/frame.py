"""The grid of a scan: its orientation, its field of view, and its annotated slices."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from weakspot.data.phantom.settings import ScanSettings
from weakspot.data.phantom.zones import Zone

FloatArray = NDArray[np.float64]
TURN_AXIS = (0.9, 0.3, 0.3)  # of oblique scans: mostly a nod of the head


def scan_axes(settings: ScanSettings) -> FloatArray:
    """Return (3, 3) the unit vectors of the three voxel axes, as columns."""
    axes = np.zeros((3, 3))
    for place, letter in enumerate(settings.orientation):
        axis = next(number for number, pair in enumerate(("LR", "PA", "IS")) if letter in pair)
        axes[axis, place] = 1 if letter in "RAS" else -1
    turn = Rotation.from_rotvec(settings.oblique_deg * np.array(TURN_AXIS) / np.linalg.norm(TURN_AXIS), degrees=True)
    return np.asarray(turn.as_matrix() @ axes)


def field_of_view(
    zones: Sequence[Zone], axes: FloatArray, spacing: FloatArray, margin_mm: float
) -> tuple[FloatArray, tuple[int, int, int]]:
    """Return the affine and the size of the smallest grid around all regions and a margin.

    Parameters
    ----------
    zones
        The regions asked for.
    axes
        What ``scan_axes`` returned.
    spacing
        (3,) in mm.
    margin_mm
        On all sides.
    """
    places = np.concatenate([zone.world(np.argwhere(zone.mask)) for zone in zones]) @ axes
    low = places.min(0) - margin_mm
    size = np.ceil((places.max(0) + margin_mm - low) / spacing).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes * spacing, axes @ low
    return affine, (int(size[0]), int(size[1]), int(size[2]))


def nearest_slice(height_mm: float, affine: FloatArray, up: FloatArray) -> tuple[int, float]:
    """Return the slice of a scan nearest to a height along its normal, and the height of that slice's middle."""
    step, start = up @ affine[:3, 2], up @ affine[:3, 3]
    index = round(float((height_mm - start) / step))
    return index, float(start + index * step)
