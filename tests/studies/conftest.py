"""Digits to make small studies of."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def digits_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an .npz file in the form of MNIST: noise, with a bright bar whose row tells the digit."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, each in (("train", 20), ("test", 5)):
        labels = np.repeat(np.arange(10, dtype=np.uint8), each)
        images = rng.integers(0, 60, (len(labels), 28, 28), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[4 + 2 * label : 6 + 2 * label, 6:22] = 250
        arrays |= {f"x_{split}": images, f"y_{split}": labels}
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    np.savez(path, **arrays)
    return path
