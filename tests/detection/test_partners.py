"""How far detections lie off, by those in mirrored images."""

import numpy as np
import pytest

from weakspot.detection.partners import half_offset


def scattered(rng: np.random.Generator, dims: int, number: int = 20) -> np.ndarray:
    """Give places at least 12 voxels apart, roughly."""
    grid = np.stack(np.meshgrid(*[np.arange(0, 120, 24)] * dims, indexing="ij"), -1).reshape(-1, dims)
    return rng.permutation(grid)[:number] + rng.uniform(-4, 4, (number, dims))


@pytest.mark.parametrize("dims", [2, 3])
def test_the_mean_offset_of_detections_that_each_lie_off_by_more_or_less(dims: int):
    """On objects of different sizes: the mode, which the correlation of maps takes, is another."""
    rng, off = np.random.default_rng(dims), np.array([-2.0, 3.5, 0.5][:dims])
    pairs, scales = [], []
    for _ in range(10):
        places = scattered(rng, dims)
        scale = rng.choice([0.5, 0.5, 2.0], (len(places), 1))  # most are small
        scales.append(scale)
        pairs.append((places + scale * off, places - scale * off))
    mean = np.mean(scales) * off
    assert half_offset(pairs, [0] * dims, 24) == pytest.approx(mean, abs=1e-2)
    assert half_offset(pairs, mean + 2, 24) == pytest.approx(mean, abs=1e-2)


def test_what_only_one_of_them_has_does_not_count():
    rng, off = np.random.default_rng(0), np.array([2.0, -1.0])
    pairs = []
    for _ in range(10):
        places = scattered(rng, 2)
        pairs.append((places[:17] + off, places[3:] - off))  # 14 of 17 have a partner
    assert half_offset(pairs, (0, 0), 10) == pytest.approx(off, abs=0.05)


def test_no_answer_where_they_are_of_other_things():
    rng = np.random.default_rng(0)
    others = []
    for _ in range(10):
        places = scattered(rng, 2)
        others.append((places[:10] + 2, places[6:16] - 2))  # 4 of 10 have a partner
    assert half_offset(others, (2, 2), 5) is None
    nothing = np.zeros((0, 2))
    assert half_offset([], (0, 0), 12) is None
    assert half_offset([(nothing, nothing)], (0, 0), 12) is None
    assert half_offset([(nothing, np.ones((1, 2)))], (0, 0), 12) is None
    one = np.array([[5.0, 5.0]])
    assert half_offset([(one, one + 2), (nothing, one)], (0, 0), 12) == (-1, -1)  # 2 of 3 have one


def test_where_objects_lie_close_it_begins_near_or_finds_others():
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(0, 120, 8), np.arange(0, 120, 8), indexing="ij"), -1).reshape(-1, 2)
    places = [grid + rng.uniform(-1, 1, grid.shape) for _ in range(5)]
    off = np.array([3, 0])
    pairs = [(each + off, each - off) for each in places]
    assert half_offset(pairs, (1.5, 0), 12) == pytest.approx((3, 0), abs=0.05)
    assert half_offset(pairs, (0, 0), 12) != pytest.approx((3, 0), abs=0.5)  # 6 apart, and others 2
