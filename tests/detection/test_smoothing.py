"""How far to smooth, and from which score on to count, as counts tell."""

from collections.abc import Sequence

import numpy as np
import pytest

from weakspot.detection import candidates
from weakspot.detection.smoothing import as_good, best_threshold, root_differences, sigmas_for, smoothing_by_counts


def slow_best(scores: list[np.ndarray], counts: np.ndarray) -> tuple[float, np.ndarray]:
    """Try every place between two scores, and above and below all."""
    levels = np.unique(np.concatenate([*scores, [0]]))[::-1]
    best, least = (np.inf, np.zeros(len(scores))), np.abs(np.sqrt(0.375) - np.sqrt(counts + 0.375)).sum()
    for threshold in (levels[:-1] + levels[1:]) / 2:
        numbers = np.array([(each > threshold).sum() for each in scores])
        total = np.abs(np.sqrt(numbers + 0.375) - np.sqrt(counts + 0.375)).sum()
        if total < least - 1e-9:
            best, least = (threshold, numbers), total
    return best


@pytest.mark.parametrize("seed", range(30))
def test_the_best_threshold_is_that_of_trying_every_one(seed: int):
    rng = np.random.default_rng(seed)
    # Few levels, so that scores are equal within images and between them.
    scores = [np.sort(rng.integers(1, 9, rng.integers(0, 7)))[::-1] / 4 for _ in range(rng.integers(1, 9))]
    scores.append(np.array([0.75]))
    counts = rng.integers(0, 9, len(scores)) / rng.choice([1, 2, 3])  # of several raters
    threshold, numbers = best_threshold(scores, counts)
    expected, slow = slow_best(scores, counts)
    assert threshold == expected
    assert numbers.tolist() == slow.tolist()


def test_how_far_counts_are_off_is_told_by_thresholds_found_without_the_image():
    rng = np.random.default_rng(0)
    scores = [np.sort(rng.random(5))[::-1] for _ in range(23)]
    counts = rng.integers(0, 6, 23)
    told = smoothing_by_counts({0.0: scores}, counts)
    slow = []
    for index in range(23):
        others = [other for other in range(23) if other % 10 != index % 10]
        threshold, _ = slow_best([scores[other] for other in others], counts[others])
        slow.append((scores[index] > threshold).sum())
    assert told.numbers.tolist() == slow == told.unsmoothed.tolist()
    threshold, fitted = best_threshold(scores, counts)
    assert told.threshold == threshold
    # Scores that tell nothing seem to tell something.
    assert root_differences(fitted, counts).mean() < root_differences(told.numbers, counts).mean()


def test_images_with_many_objects_do_not_outvote_the_others():
    """By absolute differences the first image alone would decide."""
    many, few = np.linspace(1, 0.5, 51), np.array([0.9, 0.8])
    threshold, numbers = best_threshold([many[:40], *[few] * 3], [30, 1, 1, 1])
    assert numbers.tolist()[1:] == [1, 1, 1]
    assert threshold == pytest.approx(0.8, abs=0.02)


def test_without_candidates_nothing_counts():
    threshold, numbers = best_threshold([np.zeros(0), np.zeros(0)], [2, 0])
    assert threshold == np.inf
    assert numbers.tolist() == [0, 0]


def strokes(rng: np.random.Generator, spread: float) -> tuple[np.ndarray, int]:
    """Give a map of objects, each of four peaks of different heights that sum to 1, and how many objects there are."""
    values, number = np.zeros((64, 64)), int(rng.integers(0, 6))
    for place in rng.permutation(16)[:number]:
        centre = np.array([8 + 16 * (place // 4), 8 + 16 * (place % 4)])
        parts = rng.dirichlet(np.full(4, spread))
        for part, offset in zip(parts, ((-2, -2), (-2, 2), (2, -2), (2, 2)), strict=True):
            values[tuple(centre + offset)] = part
    return values, number


def by_sigma(maps: Sequence[np.ndarray]) -> dict[float, list[np.ndarray]]:
    return {sigma: [candidates(each, 3, smooth=sigma).scores for each in maps] for sigma in sigmas_for(64)}


def test_objects_of_several_peaks_are_smoothed_and_those_of_one_are_not():
    rng = np.random.default_rng(0)
    maps, counts = zip(*(strokes(rng, 2.0) for _ in range(40)), strict=True)
    told = smoothing_by_counts(by_sigma(maps), counts)
    assert told.sigma_vox >= 1.5
    assert root_differences(told.numbers, counts).mean() < root_differences(told.unsmoothed, counts).mean() / 2
    told = smoothing_by_counts(by_sigma([np.sign(each) for each in maps]), np.multiply(counts, 4))
    assert told.sigma_vox == 0
    assert told.numbers.tolist() == np.multiply(counts, 4).tolist()


def test_what_chance_may_favour_is_not_taken():
    """Of sigmas that are equally good but for noise the least is taken, where the lowest mean would take any."""
    rng = np.random.default_rng(1)
    lowest, taken = [], []
    for _ in range(40):
        counts = np.full(30, 2)
        scores = {sigma: [np.ones(2 + rng.integers(-1, 2)) for _ in counts] for sigma in (0.0, 1.0, 2.0)}
        taken.append(smoothing_by_counts(scores, counts).sigma_vox)
        numbers = {sigma: best_threshold(each, counts)[1] for sigma, each in scores.items()}
        errors = {sigma: root_differences(each, counts).mean() for sigma, each in numbers.items()}
        lowest.append(min(errors, key=errors.__getitem__))
    assert np.count_nonzero(lowest) > 20
    assert np.count_nonzero(taken) < np.count_nonzero(lowest) / 1.5


def test_one_standard_error_by_hand():
    best = np.zeros(4)
    assert as_good(np.array([1.0, 0, 0, 0]), best)  # mean 0.25, standard error 0.5 / 2
    assert not as_good(np.array([1.0, 1, 0, 0]), best)  # mean 0.5, standard error 0.577 / 2
    assert as_good(best, best + 1)
    assert not as_good(np.array([1.0]), np.array([0.0]))
