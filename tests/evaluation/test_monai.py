"""Against MONAI's FROC, on scenes for which it is right.

It drops the lowest threshold, takes one score for each object that is hit (further hits of an object are left out, not
false positives), and pools all objects. So: detections near at most one object and alone there, every threshold but the
lowest, averaging "object".
"""

import warnings

import numpy as np
import pytest

from weakspot.evaluation import Conventions, detections_of, evaluate, truth_of
from weakspot.evaluation.matching import match

pytestmark = pytest.mark.slow  # MONAI takes long to load, and only `make test-slow` installs it


@pytest.fixture(scope="module")
def monai():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("monai.metrics", reason="MONAI is not installed: pip install -e '.[bench]'")


@pytest.mark.parametrize("seed", range(5))
def test_curve_and_score_are_those_of_monai(monai, seed):
    rng = np.random.default_rng(seed)
    objects, points, scores = [], [], []
    for _ in range(7):
        cells = rng.permutation([(10 * i, 10 * j) for i in range(6) for j in range(6)])
        objects.append(cells[:5])
        near = cells[:5][rng.random(5) < 0.7] + rng.uniform(-2, 2, 2)
        points.append(np.concatenate([near, cells[5 : 5 + rng.integers(1, 20)]]))
        scores.append(rng.permutation(1000)[: len(points[-1])] + rng.uniform(0, 1))
    truth = truth_of(objects)
    found = detections_of(points, scores, truth)
    conventions = Conventions(radius=3, averaging="object", rates=(0.3, 1.1, 2.3, 3.7), resamples=0)
    hit = match(found, truth, conventions) >= 0
    fp, sensitivity = monai.compute_froc_curve_data(found.scores[~hit], found.scores[hit], len(truth.points), 7)
    ours = evaluate(found, truth, conventions)
    np.testing.assert_allclose(ours.curve.fp[:-1], fp[::-1])
    np.testing.assert_allclose(ours.curve.sensitivity[:-1], sensitivity[::-1])
    score = monai.compute_froc_score(fp, sensitivity, eval_thresholds=conventions.rates)
    assert np.mean([figure.value for figure in ours.sensitivity_at.values()]) == pytest.approx(score)
