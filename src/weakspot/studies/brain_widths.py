"""How sharp a map is: the width of its response to each object."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def response_widths(
    attention: NDArray[np.floating], points: NDArray[np.float64], reach_vox: float, spacing_mm: Sequence[float]
) -> NDArray[np.float64]:
    """Measure how wide a map's response to each object is, in one slice.

    The response to an object is the highest value within reach of it; its width is the diameter in mm of a disk as
    large as the connected part (8 neighbours) of the slice that is at least half as high around it. Lower is sharper.

    Parameters
    ----------
    attention : (*spatial), negative values count as zero
        One slice, or a volume, of which each object's slice across the last axis through its highest response counts.
    points : (n, dims) voxel indices
    reach_vox : how far from the object its response may be
    spacing_mm : (dims,)

    Returns
    -------
    (n,)
        NaN where nothing responds.

    Examples
    --------
    >>> attention = np.zeros((9, 9))
    >>> attention[3:6, 3:6] = 1
    >>> response_widths(attention, np.array([[4.0, 4.0]]), 3, (1, 1)).round(2)
    array([3.39])
    """
    positive = np.maximum(attention, 0)
    if positive.ndim == 2:
        positive, points, spacing_mm = positive[..., None], np.insert(points, 2, 0, axis=1), (*spacing_mm, 1.0)
    widths = np.full(len(points), np.nan)
    offsets = np.argwhere(np.ones([2 * int(np.ceil(reach_vox)) + 1] * 3)) - int(np.ceil(reach_vox))
    for number, point in enumerate(points):
        near = np.floor(point + 0.5).astype(int) + offsets
        inside = ((near >= 0) & (near < positive.shape)).all(1)
        near = near[inside & (np.linalg.norm(near - point, axis=1) <= reach_vox)]
        values = positive[tuple(near.T)]
        if not len(near) or not values.max() > 0:
            continue
        i, j, k = near[np.argmax(values)]
        parts, _ = ndimage.label(positive[:, :, k] >= values.max() / 2, np.ones((3, 3)))
        area = np.count_nonzero(parts == parts[i, j]) * spacing_mm[0] * spacing_mm[1]
        widths[number] = 2 * np.sqrt(area / np.pi)
    return widths
