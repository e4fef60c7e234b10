"""T2-weighted signal: tissues, partial volume, texture, bias field and Rician noise."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from weakspot.data.phantom.settings import ScanSettings

FloatArray = NDArray[np.float64]
Volume = NDArray[np.float32]

# Signal as a share of cerebrospinal fluid's, as the medians of a group T2 template within its segmentation stand to
# each other; cortex and cerebellum as in single subjects, whose sulci are not averaged into them.
FLUID = 1.0
SIGNAL: dict[float, tuple[int, ...]] = {
    FLUID: (4, 43, 5, 44, 14, 15, 24, 72, 31, 63),
    0.31: (2, 41, 85),
    0.27: (251, 252, 253, 254, 255),
    0.30: (7, 46),
    0.42: (3, 42, 8, 47),
    0.45: (17, 53, 18, 54),
    0.40: (11, 50, 26, 58),
    0.37: (12, 51),
    0.27001: (13, 52),
    0.33: (10, 49, 28, 60),
    0.32: (16, 173, 174, 175, 178),
    0.5: (77, 78, 79),
}
OTHER = 0.36  # of a label that is not in the table
WHITE_MATTER = 0.31
UNITS = 1000  # of fluid, in the files
BLUR_VOXELS = 0.6  # of the label map: partial volume at its own, coarser, resolution


def tissue_table(spread: float, rng: np.random.Generator) -> Volume:
    """Return the signal of every label from 0 to 255, background 0; tissues vary by ``spread`` (a share)."""
    table = np.full(256, OTHER, np.float32)
    table[0] = 0
    for signal, codes in SIGNAL.items():
        table[list(codes)] = signal if signal == FLUID else signal * np.exp(rng.normal(0, spread))
    return table


def tissue_signal(labels: NDArray[np.int16], table: Volume, places: NDArray[np.float32]) -> Volume:
    """Return the signal at (3, ...) voxel indices of a label map, mixed where tissues meet."""
    mixed = ndimage.gaussian_filter(table[np.clip(labels, 0, 255)], BLUR_VOXELS)
    return np.asarray(ndimage.map_coordinates(mixed, places, order=1, mode="constant"), np.float32)


def smooth_field(size: tuple[int, ...], spacing: FloatArray, scale_mm: float, rng: np.random.Generator) -> Volume:
    """Return a random field of unit variance at its knots, ``scale_mm`` apart, linear between."""
    knots = np.ceil(np.array(size) * spacing / scale_mm).astype(int) + 2
    field = rng.standard_normal(knots).astype(np.float32)
    for axis, (n, step) in enumerate(zip(size, spacing / scale_mm, strict=True)):
        hats = np.maximum(0, 1 - np.abs(np.arange(n)[:, None] * step - np.arange(knots[axis]))).astype(np.float32)
        field = np.moveaxis(np.tensordot(hats, field, (1, axis)), 0, axis)
    return field


def acquire(signal: Volume, spacing: FloatArray, settings: ScanSettings, rng: np.random.Generator) -> NDArray[np.int16]:
    """Return the magnitude image of a signal: blurred, biased, with Rician noise, fluid about 1000.

    ``|s b + n1 + i n2|`` with the bias field ``b = exp(settings.bias f)``, f smooth over 60 mm, and independent
    normal ``n1, n2`` of ``settings.noise`` times the signal of white matter.
    """
    texture, bias, noise = rng.spawn(3)
    blur = settings.resolution_mm / math.sqrt(8 * math.log(2)) / spacing[:2]
    signal = ndimage.gaussian_filter(signal, [*blur, 0.0])
    signal *= 1 + settings.texture * smooth_field(signal.shape, spacing, 2.5, texture)
    signal *= np.exp(settings.bias * smooth_field(signal.shape, spacing, 60.0, bias))
    deviation = np.float32(settings.noise * WHITE_MATTER)
    real, imaginary = deviation * noise.standard_normal((2, *signal.shape), np.float32)
    return np.asarray(np.rint(UNITS * np.hypot(signal + real, imaginary)), np.int16)
