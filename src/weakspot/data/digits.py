"""Digit grids (paper 3.1): images of 7 by 5 handwritten digits, counted by how often one digit occurs."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from weakspot.data.digit_pools import SIDE, Pool, load_pools
from weakspot.data.points import Points
from weakspot.errors import InputError
from weakspot.seeding import generator

ROWS, COLUMNS = 7, 5
SIZES = (400, 100, 500)  # images to train, validate and test (paper 3.5)


@dataclass(frozen=True, eq=False)
class Grids:
    """Images of digits in a grid, and where the target digit is.

    Attributes
    ----------
    images : (n, 1, 196, 140) uint8
        Divided by 255 on use (see ``weakspot.data.images.ImageStore``), so that values are in [0, 1] (paper
        3.4).
    labels : (n, 7, 5) uint8
        The digit in each cell.
    digit : int
        The target.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    digit: int

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(n,) how many targets each image holds."""
        return np.asarray(np.sum(self.labels == self.digit, axis=(1, 2)), np.int64)

    @property
    def truth(self) -> tuple[Points, ...]:
        """The centres of the cells with a target; a hit must fall into the cell, its extent (paper 3.7)."""
        cells = (np.argwhere(labels == self.digit).astype(np.float64) for labels in self.labels)
        middle = (SIDE - 1) / 2
        return tuple(Points(each * SIDE + middle, extents=np.full(each.shape, float(SIDE))) for each in cells)


class DigitGrids(NamedTuple):
    """The three splits of a digit-grid data set."""

    train: Grids
    val: Grids
    test: Grids


def make_grids(pool: Pool, digit: int, n: int, rng: np.random.Generator) -> Grids:
    """Draw ``n`` grids of digits (paper 3.1).

    Each digit is drawn uniformly, with replacement, from the pool. Half of the images (the larger half if
    ``n`` is odd) follow that law given that no target is among them, the other half given that at least one
    is; their order is random.

    Parameters
    ----------
    pool
        The digits to draw from.
    digit
        The target, 0 to 9.
    n
        The number of images.
    rng
        Draws everything.
    """
    _refuse_digit(digit)
    cells = ROWS * COLUMNS
    others = np.flatnonzero(pool.labels != digit)
    if not 0 < len(others) < len(pool):
        raise InputError(f"grids need a pool with the digit {digit} and others; this one has {np.unique(pool.labels)}")
    negatives = others[rng.integers(len(others), size=(n - n // 2, cells))]
    positives = np.zeros((0, cells), np.int64)
    while len(positives) < n // 2:  # rejection draws from the conditional law exactly; 97 % are kept
        draws = rng.integers(len(pool), size=(n, cells))
        positives = np.concatenate([positives, draws[np.any(pool.labels[draws] == digit, axis=1)]])
    drawn = rng.permutation(np.concatenate([negatives, positives[: n // 2]])).reshape(n, ROWS, COLUMNS)
    images = pool.images[drawn].swapaxes(2, 3).reshape(n, 1, ROWS * SIDE, COLUMNS * SIDE)
    return Grids(images, pool.labels[drawn], digit)


def digit_grids(
    digit: int, source: str | Path | None = None, seed: int = 0, sizes: tuple[int, int, int] = SIZES
) -> DigitGrids:
    """Make the data set of one target digit (paper 3.1), from the same pools for every digit.

    Parameters
    ----------
    digit
        The target, 0 to 9.
    source
        Where the digits come from, see ``weakspot.data.digit_pools.load_pools``.
    seed
        Same seed, same bytes; the streams are ``"digits", digit, "train"`` and so on.
    sizes
        The numbers of images to train, validate and test.
    """
    _refuse_digit(digit)
    pools = load_pools(source, seed)
    return DigitGrids(
        *(
            make_grids(pool, digit, size, generator(seed, "digits", digit, name))
            for (name, pool), size in zip(pools._asdict().items(), sizes, strict=True)
        )
    )


def _refuse_digit(digit: int) -> None:
    if digit not in range(10):
        raise InputError(f"the target is a digit from 0 to 9, not {digit}")
