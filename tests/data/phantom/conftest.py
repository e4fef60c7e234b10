"""A brain of boxes, small enough for a phantom in a fraction of a second."""

from collections.abc import Callable

import numpy as np
import pytest

from weakspot.data.phantom.anatomy import Anatomy, complete
from weakspot.data.phantom.make import Phantom, make_phantom
from weakspot.data.phantom.settings import PhantomSettings, with_changes
from weakspot.seeding import generator

BOXES = (  # left code, right code, low and high corner in mm, x from the middle outwards
    (4, 43, (2, -22, 0), (12, 22, 14)),
    (11, 50, (12, -10, 2), (18, 20, 14)),
    (13, 52, (12, -10, -8), (18, 8, 2)),
    (12, 51, (18, -14, -14), (32, 16, 10)),
    (17, 53, (20, -44, -32), (32, -12, -22)),
    (16, 16, (-14, -42, -56), (14, -14, -16)),
)
COARSE = {"scan": {"spacing_mm": [0.8, 0.9, 1.2]}}


def box_brain() -> tuple[np.ndarray, np.ndarray]:
    """Return labels at 2 mm, left-handed (L, A, S), and their affine."""
    affine = np.array([[-2.0, 0, 0, 70], [0, 2, 0, -80], [0, 0, 2, -66], [0, 0, 0, 1]])
    i, j, k = np.indices((71, 81, 66))
    x, y, z = 70 - 2 * i, 2 * j - 80, 2 * k - 66
    radius = np.sqrt((x / 62) ** 2 + (y / 72) ** 2 + (z / 58) ** 2)
    labels = np.where(radius < 0.92, np.where(x < 0, 2, 41), np.where(x < 0, 3, 42)) * (radius < 1)
    for left, right, low, high in BOXES:
        for code, side in ((left, -1), (right, 1)):
            inside = (x * side >= low[0]) & (x * side <= high[0]) & (y >= low[1]) & (y <= high[1])
            labels[inside & (z >= low[2]) & (z <= high[2])] = code
    return labels, affine


@pytest.fixture(scope="session")
def anatomy() -> Anatomy:
    return complete(*box_brain())


@pytest.fixture(scope="session")
def make(anatomy: Anatomy) -> Callable[..., Phantom]:
    """Give what makes a coarse phantom of the brain of boxes."""

    def one(*regions: str, number: int = 0, settings: PhantomSettings | None = None, **changes: dict) -> Phantom:
        chosen = with_changes(settings or with_changes(PhantomSettings(), COARSE), changes)
        return make_phantom(anatomy.labels, anatomy.affine, chosen, generator(7, "phantom", number), regions)

    return one
