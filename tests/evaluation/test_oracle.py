"""The oracle itself agrees with the case worked by hand, and each mistake turned on does not."""

import numpy as np
import pytest

from tests.evaluation.oracle import FIVE, FIVE_CURVE, FIVE_FAUC, FIVE_TOP_K, WRONG, area, curve


def check_by_hand(curve_of):
    """Fail unless (scene, radius, averaging) -> [(fp, sensitivity, threshold)] gives the hand-worked values."""
    for averaging in ("image", "object"):
        fp, sensitivity, threshold = np.transpose(curve_of(FIVE, 2, averaging=averaging))
        np.testing.assert_allclose(fp, FIVE_CURVE["fp"])
        np.testing.assert_allclose(sensitivity, FIVE_CURVE[averaging])
        np.testing.assert_allclose(threshold, FIVE_CURVE["threshold"])
        assert area(list(zip(fp, sensitivity, threshold, strict=True)), 1) == pytest.approx(FIVE_FAUC[averaging])


def test_by_hand():
    check_by_hand(curve)
    fp, sensitivity, k = np.transpose(curve(FIVE, 2, selection="top_k"))
    np.testing.assert_allclose(fp, FIVE_TOP_K["fp"])
    np.testing.assert_allclose(sensitivity, FIVE_TOP_K["image"])
    np.testing.assert_allclose(k, FIVE_TOP_K["threshold"])


@pytest.mark.parametrize("mistake", WRONG)
def test_mistakes_are_caught(mistake):
    with pytest.raises(AssertionError):
        check_by_hand(lambda *args, **kwargs: curve(*args, **kwargs, **WRONG[mistake]))
