"""A label map from nilearn's MNI152 grey and white matter: FreeSurfer codes by stated, rough rules."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from weakspot.data.phantom.shapes import Tube, coverage, voxel_box
from weakspot.errors import InputError

FloatArray = NDArray[np.float64]
Condition = Callable[[FloatArray, FloatArray], NDArray[np.bool_]]


def _grey(grey: FloatArray, white: FloatArray) -> NDArray[np.bool_]:
    return np.asarray(grey > 0.4)


def _tissue(grey: FloatArray, white: FloatArray) -> NDArray[np.bool_]:
    return np.asarray(grey + white > 0.7)


def _fluid(grey: FloatArray, white: FloatArray) -> NDArray[np.bool_]:
    return np.asarray(grey + white < 0.5)


# Codes left and right; a line in mm of MNI space, |x| for x; the radius around it; what the templates must show.
# A later structure gives way to an earlier one.
STRUCTURES: tuple[tuple[int, int, list[tuple[float, float, float]], float, Condition], ...] = (
    (4, 43, [(6, 30, 2), (10, 22, 10), (12, 5, 20), (16, -20, 24), (24, -40, 16), (25, -58, 8)], 9, _fluid),
    (5, 44, [(31, -36, -4), (34, -18, -17), (30, -7, -24)], 5, _fluid),
    (13, 52, [(17, 2, -2), (23, -10, -1)], 5.5, _tissue),
    (26, 58, [(9, 11, -8), (9, 9, -8)], 7, _grey),
    (11, 50, [(9, 14, 0), (12, 12, 8), (14, 0, 17), (17, -14, 21)], 8, _grey),
    (12, 51, [(24, 12, -3), (27, 4, 1), (31, -10, 1)], 9.5, _grey),
    (17, 53, [(21, -10, -20), (29, -20, -16), (29, -32, -7), (22, -38, 0)], 7, _grey),
    (18, 54, [(22, -4, -19), (22, -2, -19)], 9, _grey),
    (10, 49, [(7, -10, 6), (14, -25, 7)], 11, _tissue),
    (16, 16, [(0, -26, -17), (0, -30, -25), (0, -30, -36), (0, -41, -58), (0, -43, -72)], 14, _tissue),
    (28, 60, [(6, -10, -9), (14, -20, -10)], 8, _tissue),
    (14, 14, [(0, 2, -8), (0, -12, 0), (0, -26, 2)], 6, _fluid),
    (15, 15, [(0, -36, -18), (0, -42, -30), (0, -46, -48)], 10, _fluid),
)


def check_installed() -> None:
    """Refuse to go on without nilearn, before anything is written."""
    if find_spec("nilearn") is None:
        raise InputError(
            "anatomy without --labels needs nilearn: pip install -e '.[brain]' in weakspot's folder, or give --labels, "
            "a folder of segmentations with FreeSurfer's codes"
        )


def template_labels() -> tuple[NDArray[np.int16], FloatArray]:
    """Return a label map at 1 mm with FreeSurfer's codes, and its affine.

    Tissue is where grey plus white matter exceed 0.7, white where white exceeds grey; cerebellum is the tissue below
    a tilted plane behind the brain stem. Structures are tubes in MNI space, cut down to where the templates show the
    tissue they are made of (``STRUCTURES``): rough, but good enough to place perivascular spaces in.

    Raises
    ------
    InputError
        nilearn is not installed.
    """
    check_installed()
    from nilearn import datasets

    image = datasets.load_mni152_gm_template(resolution=1)
    affine = np.asarray(image.affine, float)
    grey = np.asarray(image.dataobj, float)
    white = np.asarray(datasets.load_mni152_wm_template(resolution=1).dataobj, float)

    x, y, z = (axis + start for axis, start in zip(np.ogrid[tuple(map(slice, grey.shape))], affine[:3, 3], strict=True))
    left = np.broadcast_to(x < 0, grey.shape)
    cerebellum = (y < -32) & (z < np.minimum(-12 - 0.25 * (y + 32), -4)) & (np.abs(x) < 55)
    kinds = np.where(cerebellum, 7, 2) + np.where(white > grey, 0, 1) + 39 * ~left  # 2, 3, 7, 8, and 39 more right
    labels = np.where(grey + white > 0.7, kinds, 0).astype(np.int16)
    free = np.ones(grey.shape, bool)
    for *codes, line, radius, condition in STRUCTURES:
        for code, side in zip(codes, (-1, 1), strict=True):
            tube = Tube(np.array(line) * [side, 1, 1], np.full(len(line), float(radius)))
            box = voxel_box(*tube.box, affine, grey.shape)
            inside = (coverage(tube, affine, box) > 0.5) & condition(grey[box], white[box]) & free[box]
            inside &= (left[box] == (side < 0)) | (codes[0] == codes[1])
            labels[box][inside] = code
            free[box] &= ~inside
    return _largest_ventricle(labels), affine


def _largest_ventricle(labels: NDArray[np.int16]) -> NDArray[np.int16]:
    """Drop what is labelled lateral ventricle but hangs together with neither of the two."""
    for code in (4, 43):
        parts, number = ndimage.label(labels == code)
        if number > 1:
            sizes = np.bincount(parts.ravel())
            labels[(parts > 0) & (parts != 1 + int(np.argmax(sizes[1:])))] = 24
    return labels
