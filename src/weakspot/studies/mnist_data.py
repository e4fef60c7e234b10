"""What the MNIST study is run on: its settings, and the images of each digit, made once."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from weakspot.data.digit_pools import Pools
from weakspot.data.digits import SIZES, DigitGrids, Grids, digit_grids
from weakspot.errors import InputError
from weakspot.files import write_atomically
from weakspot.training.recipes import Recipe


@dataclass(frozen=True)
class MnistSettings:
    """What every unit of a study shares; a folder holds results of one such setting.

    Attributes
    ----------
    recipe : how the networks are trained
    digits : what `describe` makes of the digits that the images are made of
    sizes : numbers of images to train, validate and test
    width : filters of the first scale; the paper's unless given
    data_seed : of the images, which are the same under every seed of a training
    """

    recipe: Recipe
    digits: str
    sizes: tuple[int, int, int] = SIZES
    width: int | None = None
    data_seed: int = 0


def describe(pools: Pools) -> str:
    """Return what digits these are: their numbers, and a hash that tells them from others."""
    digest = hashlib.sha256()
    for pool in pools:
        digest.update(pool.images.tobytes() + pool.labels.tobytes())
    return f"{len(pools.train)} + {len(pools.val)} + {len(pools.test)} digits, {digest.hexdigest()[:16]}"


def digit_data(folder: Path, settings: MnistSettings, digit: int, source: str | None) -> DigitGrids:
    """Return the images of one target digit, made by whoever needs them first and kept below ``folder``.

    Images of other digits, sizes or seeds are kept apart.

    Raises
    ------
    InputError
        The file is damaged, or as `weakspot.data.digits.digit_grids` does.
    """
    hung_on = json.dumps([settings.digits, settings.sizes, settings.data_seed])
    path = folder / f"digits-{hashlib.sha256(hung_on.encode()).hexdigest()[:16]}" / f"digit_{digit}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            grids = digit_grids(digit, source, settings.data_seed, settings.sizes)
            arrays = {
                f"{part}_{name}": getattr(each, part)
                for name, each in grids._asdict().items()
                for part in ("images", "labels")
            }

            def write(temporary: Path) -> None:
                with temporary.open("wb") as file:
                    np.savez_compressed(file, **arrays)

            write_atomically(path, write)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return DigitGrids(
                *(Grids(archive[f"images_{name}"], archive[f"labels_{name}"], digit) for name in DigitGrids._fields)
            )
    except Exception as error:  # a damaged archive may raise anything
        raise InputError(f"{path} is damaged ({error}): remove it, and it is made again") from error
