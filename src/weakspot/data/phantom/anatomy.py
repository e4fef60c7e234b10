"""Where anatomy comes from: label maps with FreeSurfer's codes, made complete for phantoms."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from weakspot.data.phantom.template import template_labels
from weakspot.data.scan_files import ENDINGS
from weakspot.data.scans import is_scan, read_labels
from weakspot.errors import InputError

FloatArray = NDArray[np.float64]
Labels = NDArray[np.int16]
CORTEX, WHITE, FLUID = (3, 42), (2, 41, 77), 24
CORTEX_MM = 3.5  # grey matter farther from white matter than the cortex is thick is taken for a sulcus


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A complete label map.

    Attributes
    ----------
    labels : (i, j, k) int16
        FreeSurfer's codes; every voxel within the skull has one, fluid around the brain is 24.
    affine : (4, 4)
        From voxel indices to world mm (RAS+).
    """

    labels: Labels
    affine: FloatArray


class Sources:
    """The label maps that phantoms are made from: the files of a folder, or the template of nilearn."""

    def __init__(self, folder: Path | None) -> None:
        self.files: Sequence[Path] = () if folder is None else label_files(folder)

    def describe(self) -> dict[str, str]:
        """Return the name of each label map and a hash of its content."""
        if not self.files:
            return {"nilearn MNI152 grey and white matter": ""}
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in self.files}

    def of(self, number: int) -> tuple[str, Anatomy]:
        """Return the name and the anatomy of phantom ``number``; the label maps take turns."""
        if not self.files:
            return "MNI152", _of_template()
        path = self.files[number % len(self.files)]
        return path.name, _of_file(path)


def label_files(folder: Path) -> list[Path]:
    """Return the segmentations of a folder, sorted by name.

    Raises
    ------
    InputError
        It is no folder, or holds none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder; expected one of segmentations ({', '.join(ENDINGS)})")
    files = sorted(path for path in folder.iterdir() if is_scan(path) and not path.name.startswith("."))
    if not files:
        raise InputError(f"{folder}: holds no segmentation ({', '.join(ENDINGS)})")
    return files


@lru_cache(maxsize=16)
def _of_file(path: Path) -> Anatomy:
    segmentation = read_labels(path)
    try:
        return complete(segmentation.values, segmentation.placed)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


@lru_cache(maxsize=1)
def _of_template() -> Anatomy:
    return complete(*template_labels())


def complete(labels: NDArray[np.integer], affine: FloatArray) -> Anatomy:
    """Return a label map cut down to the brain, with fluid wherever the skull leaves room.

    Codes of cortical areas (1000 to 2999) become cortex, those of the white matter below them (3000 to 4999) white
    matter, and everything outside of the brain (500 to 999) background. Background within 8 mm of brain on all sides,
    and a rim of 2 mm around the whole, becomes fluid (24), as does cortex more than 3.5 mm from white matter: the
    middle of a sulcus.

    Parameters
    ----------
    labels
        (i, j, k) FreeSurfer's codes.
    affine
        (4, 4) from voxel indices to world mm.
    """
    labels = np.array(labels, np.int32)
    for first, code in ((1000, 3), (2000, 42), (3000, 2), (4000, 41)):
        labels[(labels >= first) & (labels < first + 1000)] = code
    labels[labels >= 256] = 0
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    brain = (labels > 0) & (labels != FLUID)
    if not brain.any():
        raise InputError("a segmentation without a single voxel of brain: expected FreeSurfer's codes")
    margin = np.ceil(12 / spacing).astype(int)
    places = np.argwhere(brain)
    low, high = places.min(0) - margin, places.max(0) + margin + 1
    widths = [(max(-a, 0), max(b - n, 0)) for a, b, n in zip(low, high, labels.shape, strict=True)]
    box = tuple(slice(max(a, 0), b + max(-a, 0)) for a, b in zip(low, high, strict=True))
    labels, brain = np.pad(labels, widths)[box], np.pad(brain, widths)[box]
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ low

    swollen = ndimage.distance_transform_edt(~brain, spacing) < 8
    skull = ndimage.distance_transform_edt(swollen, spacing) > 6
    labels[skull & (labels == 0)] = FLUID
    from_white = ndimage.distance_transform_edt(~np.isin(labels, WHITE), spacing)
    labels[np.isin(labels, CORTEX) & (from_white > CORTEX_MM)] = FLUID
    labels[~skull] = 0
    return Anatomy(np.asarray(labels, np.int16), moved)
