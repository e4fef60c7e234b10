"""A head of boxes: labels and intensities whose regions can be worked out by hand."""

import numpy as np

SHAPE = (41, 47, 45)
# label: the first and the last voxel of its box along x (to the right), y (to the front) and z (up)
BOXES = {
    2: ((6, 19), (9, 37), (8, 41)),
    41: ((20, 34), (9, 37), (8, 41)),
    4: ((15, 19), (15, 31), (18, 24)),
    43: ((20, 25), (15, 31), (18, 25)),  # the top of both is slice 25
    16: ((17, 23), (18, 26), (0, 15)),
    17: ((9, 11), (20, 26), (9, 13)),
    53: ((29, 31), (20, 26), (9, 13)),
    11: ((13, 15), (20, 26), (20, 26)),
    52: ((25, 27), (20, 26), (20, 26)),
}


def box(label):
    return tuple(slice(first, last + 1) for first, last in BOXES[label])


def head(spacing=(1.0, 1.0, 1.0)):
    """Return labels, intensities from 100 to 200, and an affine, RAS."""
    labels = np.zeros(SHAPE, np.int32)
    for label in BOXES:
        labels[box(label)] = label
    values = np.random.default_rng(0).uniform(100, 200, SHAPE).astype(np.float32)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (-20, -30, -10)
    return labels, values, affine
