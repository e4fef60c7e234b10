"""The whole of an evaluation, and what it says about itself."""

import json
from dataclasses import fields

import numpy as np
import pytest

from tests.evaluation import oracle
from tests.evaluation.scenes import built
from weakspot.errors import InputError
from weakspot.evaluation import Conventions, detections_of, evaluate, truth_of

COUNTS = [1.6, 0.5, 0.4, -0.7, 2.5]
# fmt: off
HELD = ["fauc", "fauc_ci95", "fauc_sd", "sensitivity", "precision", "fp_avg", "fn_avg", "f1", "curve", "n_images",
        "n_objects", "conventions"]
# fmt: on


def test_the_whole_by_hand():
    result = evaluate(*built(oracle.FIVE, COUNTS), Conventions(radius=2, max_fp=1, rates=(0.25, 8)))
    assert result.fauc.value == pytest.approx(49 / 60)
    assert (result.sensitivity.value, result.precision.value, result.fp_avg.value) == pytest.approx((1, 8 / 9, 0.2))
    assert (result.n_images, result.n_objects, result.n_detections, result.n_subjects) == (5, 5, 8, 5)
    # Between (1/5, 1/2) and (2/5, 2/3).
    assert result.sensitivity_at[0.25].value == pytest.approx(1 / 2 + 1 / 4 * 1 / 6)
    assert result.sensitivity_at[8].value == 1
    error = np.subtract(COUNTS, [2, 1, 0, 0, 2])
    assert result.count_error["mae"].value == pytest.approx(np.abs(error).mean())
    assert result.count_error["bias"].value == pytest.approx(error.mean())
    for figure in (result.fauc, result.precision, result.count_error["icc"]):
        assert figure.ci95[0] <= figure.value <= figure.ci95[1]
        assert figure.sd > 0
    fp, low, high = result.band
    value = result.curve.read(fp)
    assert (low <= value + 1e-12).all()
    assert (value <= high + 1e-12).all()


def test_json():
    result = evaluate(*built(oracle.FIVE, COUNTS), Conventions(radius=2, max_fp=1, resamples=20))
    content = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(HELD) <= set(content)
    assert content["fauc"] == result.fauc.value
    assert content["fauc_ci95"] == list(result.fauc.ci95)
    assert content["curve"]["threshold"][0] is None
    assert content["curve"]["fp"] == pytest.approx(oracle.FIVE_CURVE["fp"])
    assert {entry["fp"]: entry["threshold"] for entry in content["sensitivity_at"]}[0.25] == 0.7
    assert len(content["band"]["low"]) == len(content["band"]["fp"])
    assert content["count_mae"] == result.count_error["mae"].value
    assert content["count_icc_ci95"] == list(result.count_error["icc"].ci95)
    conventions = content["conventions"]
    assert {field.name for field in fields(Conventions)} <= set(conventions)
    assert conventions["operating_point"] == "count"
    assert conventions["hit"] == "distance <= 2 voxels"
    strict = Conventions(matching="paper", reach="radius_mm").describe()
    assert strict["hit"] == "distance < 6 mm"
    assert "<=" not in str(strict)  # the sign of a hit stands in one place
    assert Conventions(reach="inside").describe()["radius"] is None


def test_without_counts_everything_is_kept():
    result = evaluate(*built(oracle.FIVE), Conventions(radius=2, resamples=0))
    assert result.conventions["operating_point"] == "all"
    assert result.count_error == {}
    assert not any(name.startswith("count") for name in result.to_dict())
    assert result.fp_avg.value == 3 / 5
    assert np.isnan(result.fauc.sd)


def test_no_object_anywhere():
    detections, truth = built([([], [(0, 0)], [1]), ([], [], [])], [1, 0])
    with pytest.warns(RuntimeWarning, match="no object in any image"):
        result = evaluate(detections, truth)
    content = result.to_dict()
    assert [content[name] for name in ("fauc", "fauc_sd", "sensitivity", "fp_avg")] == [None, None, None, 0.5]
    assert content["fauc_ci95"] == [None, None]


def test_nothing_at_all():
    with pytest.raises(InputError, match="no images"):
        evaluate(*built([]))
    assert evaluate(*built([([(0, 0)], [], [])]), Conventions(resamples=0)).to_dict()["fauc"] == 0
    plain = truth_of([[[1, 1]], []])
    assert evaluate(detections_of([[], []], [[], []], plain), plain).precision.value is not None


def test_one_subject_has_no_interval_and_is_told_so():
    detections, truth = built(oracle.FIVE, subjects=["s"] * 5)
    with pytest.warns(RuntimeWarning, match="one subject alone"):
        result = evaluate(detections, truth, Conventions(radius=2))
    assert np.isnan([result.fauc.sd, *result.fauc.ci95]).all()


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_the_same_seed_gives_the_same_result(interval):
    scene = oracle.random_scene(5, images=30)
    first, again, other = (
        evaluate(*built(scene), Conventions(radius=2, interval=interval, resamples=100, seed=s)).to_dict()
        for s in (0, 0, 1)
    )
    assert first == again
    assert first["fauc"] == other["fauc"]
    assert first["fauc_sd"] != other["fauc_sd"]


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_intervals_equal_recomputing_every_resample(interval):
    scene = oracle.random_scene(6, images=12, step=0.0)
    subjects = [str(i // 2) for i in range(12)]
    conventions = Conventions(radius=2, max_fp=0.8, resamples=30, interval=interval)
    result = evaluate(*built(scene, subjects=subjects), conventions)
    from weakspot.evaluation.bootstrap import Resampled, draw_weights, leave_out_weights

    subject = np.arange(12) // 2

    def slow(weights):
        drawn = [image for image, times in zip(scene, weights.astype(int), strict=True) for _ in range(times)]
        return [oracle.area(oracle.curve(drawn, 2.0), 0.8)]

    resamples = np.array([slow(w) for rows in draw_weights(subject, 30, 0) for w in rows])
    left = np.array([slow(w) for rows in leave_out_weights(subject) for w in rows])
    expected = Resampled(np.array(slow(np.ones(12))), resamples, left if interval == "bca" else left[:0])
    np.testing.assert_allclose(result.fauc_resampled, resamples[:, 0])
    (figure,) = expected.figures()
    assert result.fauc.sd == pytest.approx(figure.sd)
    assert result.fauc.ci95 == pytest.approx(figure.ci95)


def test_inside_extents_and_three_dimensions():
    truth = truth_of([[[13.5, 13.5, 2]], [[41.5, 13.5, 2]]], extents=[[[28, 28, 5]]] * 2)
    detections = detections_of([[[0, 27, 0]], [[27, 13, 2]]], [[1], [1]], truth)
    result = evaluate(detections, truth, Conventions(reach="inside", resamples=0, rates=()))
    assert result.sensitivity.value == 0.5
    assert result.sensitivity_at == {}
