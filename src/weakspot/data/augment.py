"""Augmentation (paper 3.5): random translations, rotations and flips, n-D; sampled, recorded, then applied.

A voxel's position is its index, an image's centre is (size - 1) / 2, and a transform flips about the centre,
then rotates about it, then translates. All positions are in voxels until `_sampling_grid` turns them into the
coordinates of ``torch.nn.functional.grid_sample``, with ``align_corners=False``. Rotations, too, are rigid in voxels
and not in mm, as the paper gives its translations in voxels: a cohort may mix spacings, and a network sees voxels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

FloatArray = NDArray[np.float64]

# The planes in which images turn, by the number of dimensions; in 3D one Euler angle an axis.
PLANES = {2: ((0, 1),), 3: ((1, 2), (2, 0), (0, 1))}


@dataclass(frozen=True)
class AugmentSettings:
    """How far images are moved; the defaults are the paper's (section 3.5).

    Attributes
    ----------
    translation_vox : float
        The largest translation along each axis, in voxels.
    rotation_rad : float
        The largest rotation in each plane, in radians.
    flip : bool
        Whether each axis is flipped in half of the cases.
    """

    translation_vox: float = 2.0
    rotation_rad: float = 0.2
    flip: bool = True


PAPER = AugmentSettings()


@dataclass(frozen=True, eq=False)
class Transforms:
    """The transforms of ``n`` images, as drawn.

    Attributes
    ----------
    translation_vox : (n, dims)
        Along each axis.
    rotation_rad : (n, 1) in 2D, (n, 3) in 3D
        In each of ``PLANES``; the last is applied first. In 2D a positive angle turns the y towards the x
        axis.
    flip : (n, dims) bool
        Which axes are reversed.
    """

    translation_vox: FloatArray
    rotation_rad: FloatArray
    flip: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.flip)

    def __getitem__(self, chosen: NDArray[np.intp]) -> "Transforms":
        """Return the transforms of some of the images."""
        return Transforms(self.translation_vox[chosen], self.rotation_rad[chosen], self.flip[chosen])


def sample(rng: np.random.Generator, n: int, dims: int, settings: AugmentSettings = PAPER) -> Transforms:
    """Draw the transforms of ``n`` images: translations and angles uniform, flips with probability 1/2.

    >>> sample(np.random.default_rng(0), 4, dims=3).rotation_rad.shape
    (4, 3)
    """
    return Transforms(
        settings.translation_vox * rng.uniform(-1, 1, (n, dims)),
        settings.rotation_rad * rng.uniform(-1, 1, (n, len(PLANES[dims]))),
        (rng.random((n, dims)) < 0.5) & settings.flip,
    )


def without_resampling(transforms: Transforms) -> Transforms:
    """Return the flips, and the translations to the nearest whole voxels; they need no resampling."""
    still = np.zeros_like(transforms.rotation_rad)
    return replace(transforms, translation_vox=np.rint(transforms.translation_vox), rotation_rad=still)


def matrices(transforms: Transforms, shape: Sequence[int]) -> FloatArray:
    """Return the affine maps (n, dims, dims + 1) that take a voxel's position to where it moves.

    Parameters
    ----------
    transforms
        Of ``n`` images.
    shape
        The images' spatial shape.
    """
    n, dims = transforms.flip.shape
    linear = np.broadcast_to(np.eye(dims), (n, dims, dims))
    for (a, b), angle in zip(PLANES[dims], transforms.rotation_rad.T, strict=True):
        turn = np.tile(np.eye(dims), (n, 1, 1))
        turn[:, a, a] = turn[:, b, b] = np.cos(angle)
        turn[:, b, a] = np.sin(angle)
        turn[:, a, b] = -turn[:, b, a]
        linear = linear @ turn
    linear = linear * np.where(transforms.flip, -1.0, 1.0)[:, None]
    centre = (np.asarray(shape) - 1) / 2
    return np.concatenate([linear, (centre + transforms.translation_vox - linear @ centre)[..., None]], axis=2)


def apply(images: Tensor, transforms: Transforms) -> Tensor:
    """Move images, in one linear resampling of the batch; what comes from outside is zero.

    Flips and translations by whole voxels, without rotation, are exact.

    Parameters
    ----------
    images : (n, channels, *spatial)
        Of a floating type, on any device.
    transforms
        Of ``n`` images.

    Returns
    -------
    Tensor
        New images of the same shape, type and device.
    """
    between = transforms.translation_vox != np.rint(transforms.translation_vox)
    resampled = transforms.rotation_rad.any(axis=1) | between.any(axis=1)
    if resampled.any():
        affine = matrices(transforms, images.shape[2:])
        moved = functional.grid_sample(images, _sampling_grid(affine, images), align_corners=False)
    else:
        moved = torch.empty_like(images)
    for place in np.flatnonzero(~resampled):
        flipped = images[place].flip([int(axis) + 1 for axis in np.flatnonzero(transforms.flip[place])])
        moved[place] = _shifted(flipped, transforms.translation_vox[place].astype(int).tolist())
    return moved


def _shifted(image: Tensor, offset: Sequence[int]) -> Tensor:
    """Return an image (channels, *spatial) moved by whole voxels along each axis."""
    pads = []  # on both sides of each axis, the last one first; what is negative is cut off
    for size, by in reversed(list(zip(image.shape[1:], offset, strict=True))):
        kept = max(-size, min(by, size))
        pads += [kept, -kept]
    return functional.pad(image, pads)


def _sampling_grid(affine: FloatArray, images: Tensor) -> Tensor:
    """Return where each voxel's value comes from, (n, *spatial, dims) in [-1, 1], the last axis first.

    Coordinates are stored one after the other, which ``grid_sample`` takes as well as interleaved ones; so
    each is one contiguous sum, which is far faster than ``affine_grid``.
    """
    shape = np.array(images.shape[2:])
    n, dims = len(images), len(shape)
    centre = (shape - 1) / 2
    back = np.linalg.inv(affine[..., :-1])
    offset = affine[..., -1] + affine[..., :-1] @ centre - centre  # how far the centre moves
    theta = np.concatenate([back, -back @ offset[..., None]], axis=2) * (2 / shape)[:, None]
    terms = torch.from_numpy(theta[:, ::-1].copy()).to(images).reshape(n, dims, dims + 1, *[1] * dims)
    total = terms[:, :, dims]
    for axis, size in enumerate(images.shape[2:]):
        along = [1] * dims
        along[axis] = size
        position = torch.arange(size, device=images.device, dtype=images.dtype) - (size - 1) / 2
        total = total + terms[:, :, axis] * position.reshape(along)
    return total.movedim(1, -1)
