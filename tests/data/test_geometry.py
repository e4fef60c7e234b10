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
    assert geometry.slices.tolist() == [3, 3, 3]  # b and c: of 7 slices the one with 3 before and 3 behind it


def test_what_is_not_asked_for_is_not_looked_at(tmp_path):
    nothing = geometry_of(cohort(tmp_path, "id,slice,spacing_y\na,x,\n"), 2)
    assert (nothing.spacing_mm, nothing.sizes, nothing.slices) == (None, None, None)
    without = geometry_of(cohort(tmp_path, "id,size_i,size_j,size_k\na,2,2,3\n"), 3, slice_axis=0)
    assert without.slices.tolist() == [1]


def test_sizes_are_needed_along_the_slices_alone_and_where_none_is_named(tmp_path):
    named = geometry_of(cohort(tmp_path, "id,slice\na,3\nb,0\n"), 3, slice_axis=2)
    assert (named.sizes, named.slices.tolist()) == (None, [3, 0])
    along = geometry_of(cohort(tmp_path, "id,slice,size_k\na,30,\nb,,8\n"), 3, slice_axis=2)
    np.testing.assert_array_equal(along.sizes, [[np.inf] * 3, [np.inf, np.inf, 8]])
    assert along.slices.tolist() == [30, 4]
    partly = geometry_of(cohort(tmp_path, "id,size_y,size_x\na,,9\nb,8,9\n"), 2)
    np.testing.assert_array_equal(partly.sizes, [[np.inf, 9], [8, 9]])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("id,slice\na,3\nb,\n", "1 of 2 images name no slice, and there is no column size_k"),
        ("id,slice,size_j\na,3,4\n", "lacks the columns size_i, size_k"),
        (
            "id,slice,slice_axis,size_k\na,3,k,8\nb,3,,8\nc,3,2,8\nd,3,i,8\n",
            r"^slices across k were asked for; .*: row 5 \(id d\): its slice is across i$",
        ),
        ("id,slice,slice_axis\na,3,up\n", "slice axis 'up': expected i, j, k"),
        ("id,slice,size_k\na,8,8\n", r"row 2 \(id a\): slice 8: expected a whole number from 0 to 7"),
        ("id,slice,size_k\na,-1,\n", "slice -1: expected a whole number from 0$"),
        ("id,slice,size_k\na,1e30,\n", "slice 1e.30: expected"),
        ("id,slice,size_k\na,inf,8\n", "slice inf: expected"),
        ("id,slice,size_k\na,,1e300\n", "slice 5e.299: expected"),
        ("id,slice,size_k\na,,\nb,1,\n", r"row 2 \(id a\): no slice is named"),
    ],
)
def test_slices_that_are_not_known(tmp_path, table, words):
    with pytest.raises(InputError, match=words):
        geometry_of(cohort(tmp_path, table), 3, slice_axis=2)


def test_all_wrong_rows_are_listed(tmp_path):
    images = cohort(
        tmp_path,
        "id,size_y,size_x,spacing_y,spacing_x\na,0,9,1,1\nok,9,9,1,1\nb,9,9.5,inf,-1\nc,9,far,1,wide\n",
    )
    with pytest.raises(InputError) as refused:
        geometry_of(images, 2, spacing=True)
    assert str(refused.value).splitlines() == [
        "the images' geometry: 3 problems",
        "  row 2 (id a): size_y is '0', not a whole number above 0",
        "  row 4 (id b): spacing_y is 'inf', not a finite number above 0; spacing_x is '-1', not a finite number"
        " above 0; size_x is '9.5', not a whole number above 0",
        "  row 5 (id c): spacing_x is 'wide', not a finite number above 0; size_x is 'far', not a whole number above 0",
    ]


@pytest.mark.parametrize(
    ("dims", "options", "missing"),
    [
        (2, {"spacing": True}, "spacing_y, spacing_x"),
        (3, {}, "size_i, size_j, size_k"),
        (3, {"slice_axis": 1}, "size_i, size_j, size_k"),
        (2, {"slice_axis": 1, "spacing": True}, "spacing_y, spacing_x"),
    ],
)
def test_columns_that_are_missing(tmp_path, dims, options, missing):
    with pytest.raises(InputError, match=f"lacks the columns {missing} "):
        geometry_of(cohort(tmp_path, "id,size_y,size_x\na,3,4\n"), dims, **options)
