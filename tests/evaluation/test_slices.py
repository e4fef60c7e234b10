import numpy as np
import pytest

from weakspot.detection import candidates, take_slice
from weakspot.errors import InputError
from weakspot.evaluation import (
    Conventions,
    chosen_slices,
    detections_in_slices,
    detections_of,
    evaluate,
    truth_in_slices,
    truth_of,
)


def test_points_of_one_slice():
    truth = truth_of(
        [[[1, 2, 5], [3, 4, 6]], []],
        extents=[[[1, 2, 3], [4, 5, 6]], []],
        spacing_mm=(0.5, 1, 3),
        shapes=[[9, 9, 10], [8, 8, 7]],
    )
    detections = detections_of([[[1, 2, 5.5], [1, 2, 4.5], [1, 3, 5.4]], [[0, 0, 3]]], [[1, 2, 3], [4]], truth, [1, 0])
    slices = chosen_slices([5, np.nan], [10, 7])
    assert slices.tolist() == [5, 3]
    for axis in (2, -1):
        flat, found = truth_in_slices(truth, axis, slices), detections_in_slices(detections, axis, slices)
        assert flat.points.tolist() == [[1, 2]]
        assert flat.image.tolist() == [0]
        assert flat.extents.tolist() == [[1, 2]]
        assert flat.spacing_mm.tolist() == [[0.5, 1]] * 2
        assert flat.shapes.tolist() == [[9, 9], [8, 8]]
        # 5.5 is nearest to 6 and 4.5 to 5: a half goes up.
        assert found.points.tolist() == [[1, 2], [1, 3], [0, 0]]
        assert found.scores.tolist() == [2, 3, 4]
        assert found.image.tolist() == [0, 0, 1]
        assert found.counts.tolist() == [1, 0]
    result = evaluate(found, flat, Conventions(resamples=0))
    assert result.conventions["slice_axis"] == -1
    assert (result.n_objects, result.n_detections) == (1, 3)


def test_from_maps_the_peaks_are_sought_in_the_annotated_slice():
    # In slice 1 an object at (5, 5), its peak beside a higher one of slice 2; nothing else there.
    volume = np.zeros((20, 20, 4))
    volume[5, 5, 1], volume[6, 5, 2] = 1, 2
    whole = truth_of([[[5, 5, 1], [6, 5, 2]], []], shapes=(20, 20, 4))
    slices = chosen_slices([1, np.nan], [4, 4])
    truth = truth_in_slices(whole, 2, slices)
    conventions = Conventions(radius=0, resamples=0)

    flat = [candidates(take_slice(each, 2, chosen)) for each, chosen in zip([volume, volume], slices, strict=True)]
    found = detections_of([each.points for each in flat], [each.scores for each in flat], truth)
    result = evaluate(found, truth, conventions)
    assert (result.sensitivity.value, result.fp_avg.value) == (1, 1 / 2)  # slice 2, of the second, holds no object

    solid = candidates(volume)
    lost = detections_of([solid.points, solid.points], [solid.scores, solid.scores], whole)
    result = evaluate(detections_in_slices(lost, 2, slices), truth, conventions)
    assert result.sensitivity.value == 0  # suppressed in the volume, and so not to be had back in the slice


def test_nothing_in_any_volume():
    truth = truth_of([[], []], shapes=(5, 5, 5))
    flat = truth_in_slices(truth, 0, np.array([1, 2]))
    assert flat.counts.tolist() == [0, 0]
    assert flat.shapes.shape == (2, 2)


@pytest.mark.parametrize("wrong", [10, -1, 2.5, np.inf])
def test_slices_that_are_not_there(wrong):
    with pytest.raises(InputError, match=r"image number 1: slice .*: expected a whole number from 0 to 9"):
        chosen_slices([3, wrong], [5, 10])


def test_an_axis_that_is_not_there():
    truth = truth_of([[[1, 2]]])
    with pytest.raises(InputError, match="slice axis 2: the points are in 2D"):
        truth_in_slices(truth, 2, np.array([0]))
