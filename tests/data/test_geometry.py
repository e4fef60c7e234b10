"""Geometry from cohort tables."""

import numpy as np
import pytest

from weakspot.data.cohort import read_cohort
from weakspot.data.geometry import geometry_of
from weakspot.errors import InputError


def cohort(tmp_path, content):
    (tmp_path / "cohort.csv").write_text(content)
    return read_cohort(tmp_path / "cohort.csv", counts=False, images=False)


def test_columns_by_hand(tmp_path):
    images = cohort(
        tmp_path,
        "id,slice,spacing_k,spacing_j,spacing_i,size_i,size_j,size_k\na,3,3,2,1.5,10,20,4\nb,,1,1,1,5,6,7\nc,nan,1,1,1,5,6,7\n",
    )
    geometry = geometry_of(images, 3, spacing=True, slice_axis=2)
    assert geometry.spacing_mm.tolist() == [[1.5, 2, 3], [1, 1, 1], [1, 1, 1]]  # i, j, k, whatever the table's order
    assert geometry.sizes.tolist() == [[10, 20, 4], [5, 6, 7], [5, 6, 7]]
    np.testing.assert_array_equal(geometry.slices, [3, np.nan, np.nan])


def test_what_is_not_asked_for_is_not_looked_at(tmp_path):
    nothing = geometry_of(cohort(tmp_path, "id,slice,spacing_y\na,x,\n"), 2)
    assert (nothing.spacing_mm, nothing.sizes, nothing.slices) == (None, None, None)
    without = geometry_of(cohort(tmp_path, "id,size_i,size_j,size_k\na,1,2,3\n"), 3, slice_axis=0)
    assert np.isnan(without.slices).all()


def test_all_wrong_rows_are_listed(tmp_path):
    images = cohort(
        tmp_path,
        "id,size_y,size_x,spacing_y,spacing_x\na,0,9,1,1\nok,9,9,1,1\nb,9,9.5,inf,-1\nc,9,,1,wide\n",
    )
    with pytest.raises(InputError) as refused:
        geometry_of(images, 2, spacing=True)
    assert str(refused.value).splitlines() == [
        "the images' geometry: 3 problems",
        "  row 2 (id a): size_y is '0', not a whole number above 0",
        "  row 4 (id b): spacing_y is 'inf', not a finite number above 0; spacing_x is '-1', not a finite number"
        " above 0; size_x is '9.5', not a whole number above 0",
        "  row 5 (id c): spacing_x is 'wide', not a finite number above 0; size_x is '', not a whole number above 0",
    ]


@pytest.mark.parametrize(
    ("dims", "options", "missing"),
    [
        (2, {"spacing": True}, "spacing_y, spacing_x"),
        (3, {}, "size_i, size_j, size_k"),
        (3, {"slice_axis": 1}, "size_i, size_j, size_k"),
    ],
)
def test_columns_that_are_missing(tmp_path, dims, options, missing):
    with pytest.raises(InputError, match=f"lacks the columns {missing} "):
        geometry_of(cohort(tmp_path, "id,size_y,size_x\na,3,4\n"), dims, **options)
