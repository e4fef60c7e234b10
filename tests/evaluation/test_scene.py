"""Points on their way in: what is refused, in one clear line."""

import numpy as np
import pytest

from weakspot.errors import InputError
from weakspot.evaluation import Conventions, detections_of, truth_of

NAN = float("nan")
POINTS = [[[1, 2], [3, 4]], [], [[5, 6]]]


def test_gathered():
    truth = truth_of(POINTS, subjects=["b", "a", "b"], names=["x", "y", "z"], extents=[[[2, 3], [4, 5]], [], [[6, 7]]])
    assert truth.points.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert truth.image.tolist() == [0, 0, 2]
    assert truth.counts.tolist() == [2, 0, 1]
    assert truth.subject.tolist() == [1, 0, 1]
    assert truth.extents.tolist() == [[2, 3], [4, 5], [6, 7]]
    found = detections_of([np.zeros((0, 2)), [[1, 1]], []], [[], [0.5], []], truth, [1, 2, 3.5])
    assert found.image.tolist() == [1]
    assert found.counts.tolist() == [1, 2, 3.5]
    assert truth_of([[], []]).counts.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        ([[[1, NAN]], []], {}, "truth: coordinates that are NaN, infinite or immense in image 0"),
        ([[[1, 1e200]], []], {}, "truth: coordinates that are NaN, infinite or immense in image 0"),
        (
            [[], [[1, 2], [3, 4], [1, 2]]],
            {"names": ["a", "b"]},
            r"truth: a point given twice in image b: \(1, 2\); expected each point once",
        ),
        (POINTS, {"shapes": [[9, 3], [9, 9], [9, 9]]}, r"outside their image in image 0: \(3, 4\), where .* \(9, 3\);"),
        (POINTS, {"shapes": (np.inf, 3)}, r"in images 0, 2: \(3, 4\), where the size is \(unknown, 3\)"),
        ([[[1, 2]], [[1, 2, 3]]], {}, "points in 2D and 3D"),
        ([[1, 2], []], {}, r"expected an array \(points, dims\) for each image, not so image 0"),
        (POINTS, {"subjects": ["a"]}, "1 subjects for 3 images"),
        (POINTS, {"names": ["a"]}, "1 names for 3 images"),
        (POINTS, {"shapes": (6, 6)}, "truth: points outside their image in image 2"),
        (POINTS, {"shapes": (6, 6, 6)}, "shape of shape"),
        (POINTS, {"shapes": (0, 6)}, "above 0"),
        (POINTS, {"spacing_mm": (1, 0)}, "spacing: expected numbers above 0, at most 1e.15"),
        (POINTS, {"spacing_mm": (1, 1e200)}, "spacing: expected"),
        (POINTS, {"spacing_mm": np.ones((2, 2))}, "spacing of shape"),
        (POINTS, {"extents": [[[1, 1]], [], [[1, 1]]]}, "expected one for each object"),
        (POINTS, {"extents": [[], [], []]}, "0 extents for 3 objects"),
        (POINTS, {"extents": [[[1, 1], [1, -1]], [], [[1, 1]]]}, "extents: expected numbers above 0"),
        ([[[-0.51, 0]]], {"shapes": (6, 6)}, "outside"),
    ],
)
def test_truth_that_is_refused(points, options, message):
    with pytest.raises(InputError, match=message) as caught:
        truth_of(points, **options)
    assert "\n" not in str(caught.value)


def test_borders_are_inside():
    truth_of([[[-0.5, 5.5]]], shapes=(6, 6))
    truth_of([[[-0.5, 5e9]]], shapes=(6, np.inf))


@pytest.mark.parametrize(
    ("points", "scores", "counts", "message"),
    [
        ([[[1, 1]]], [[1]], None, "1 lists of detections for 3 images"),
        ([[[1, 1]], [], []], [[1]], None, "1 lists of scores for 3 images"),
        ([[[1, 1]], [], []], [[], [], []], None, "without a score, or scores without a detection, in image 0"),
        ([[[1, 1]], [], []], [[NAN], [], []], None, "scores that are missing or infinite in image 0"),
        ([[[1, np.inf]], [], []], [[1], [], []], None, "detections: coordinates that are NaN, infinite"),
        ([[], [[1, 1], [1, 1]], []], [[], [1, 2], []], None, "detections: a point given twice in image 1"),
        ([[[1, 1, 1]], [], []], [[1], [], []], None, "detections are in 3D, the truth in 2D"),
        ([[[1, 1]], [], [[9.6, 0]]], [[1], [], [1]], None, "detections: points outside their image in image 2"),
        ([[], [], []], [[], [], []], [1, 2], "counts of shape"),
        ([[], [], []], [[], [], []], [1, NAN, 3], "counts that are NaN, infinite or immense in image 1"),
        ([[], [], []], [[], [], []], [1, 1e30, 3], "immense in image 1"),
    ],
)
def test_detections_that_are_refused(points, scores, counts, message):
    with pytest.raises(InputError, match=message):
        detections_of(points, scores, truth_of(POINTS, shapes=(10, 10)), counts)


def test_only_some_images_are_named():
    with pytest.raises(InputError, match=r"images 0, 1, 2, 3, 4 and 7 more$"):
        truth_of([[[NAN, 0]]] * 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"matching": "nearest"}, "choose one of gated, paper, greedy"),
        ({"reach": "radius"}, "radius_vox, radius_mm, inside"),
        ({"averaging": "pooled"}, "image, object"),
        ({"selection": "count"}, "threshold, top_k"),
        ({"interval": "normal"}, "percentile, bca"),
        ({"operating_point": "best"}, "count, threshold, top_k, all"),
        ({"radius": -1}, "radius -1"),
        ({"radius": NAN}, "radius nan"),
        ({"max_fp": 0}, "up to 0"),
        ({"rates": (1, -1)}, "false-positive rates"),
        ({"resamples": -1}, "-1 resamples"),
        ({"operating_point": "threshold"}, "with the value None"),
        ({"operating_value": 3}, "others none"),
        ({"operating_point": "threshold", "operating_value": NAN}, "nan: expected a finite number"),
        ({"operating_point": "threshold", "operating_value": np.inf}, "inf: expected a finite number"),
        ({"operating_point": "top_k", "operating_value": -(10**30)}, "whole number, at least 0"),
        ({"operating_point": "top_k", "operating_value": 1.5}, "whole number"),
    ],
)
def test_conventions_that_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Conventions(**options)
