"""Points tables: round trips bit for bit, and every bad cell named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakspot.data.cohort import read_cohort
from weakspot.data.points import Points, points_of, read_points, write_points
from weakspot.errors import InputError

numbers = st.floats(-1e6, 1e6)


def table(tmp_path, content, name="points.csv"):
    (tmp_path / name).write_text(content)
    return tmp_path / name


def test_two_dimensions_by_hand(tmp_path):
    path = table(tmp_path, "id,x,y,score,note\n01,3,2.5,0.5,ok\n2,1,0,-1,\n01,5,4,0.25,\n")
    points = read_points(path)
    assert list(points) == ["01", "2"]
    assert points["01"].coordinates.tolist() == [[2.5, 3], [4, 5]]  # y before x, whatever the columns' order
    assert points["01"].scores.tolist() == [0.5, 0.25]
    assert points["01"].extents is None
    assert points["2"].scores.shape == (1,)


def test_extents_and_three_dimensions_by_hand(tmp_path):
    two = read_points(table(tmp_path, "id,y,x,height,width\na,13.5,41.5,28,20\n"))["a"]
    assert two.extents.tolist() == [[28, 20]]
    assert two.scores is None
    three = read_points(table(tmp_path, "id\ti\tj\tk\tx_mm\ty_mm\tz_mm\tscore\na\t1\t2\t3\t-4\t5\t6\t0.1\n", "p.tsv"))[
        "a"
    ]
    assert three.coordinates.tolist() == [[1, 2, 3]]
    assert three.world_mm.tolist() == [[-4, 5, 6]]
    assert three.scores.tolist() == [0.1]


def test_the_columns_written(tmp_path):
    path = tmp_path / "p.csv"
    write_points(path, {"a": Points(np.array([[1.0, 2.5]]), np.array([1 / 3]))}, dims=2)
    assert path.read_text() == "id,y,x,score\na,1.0,2.5,0.3333333333333333\n"
    world = Points(np.array([[1.0, 2.0, 3.0]]), np.array([0.5]), world_mm=np.array([[9.0, 8.0, 7.0]]))
    write_points(path, {"a": world}, dims=3)
    assert path.read_text() == "id,i,j,k,x_mm,y_mm,z_mm,score\na,1.0,2.0,3.0,9.0,8.0,7.0,0.5\n"
    write_points(path, {"a": Points(np.zeros((0, 2)), np.zeros(0))}, dims=2)
    assert path.read_text() == "id,y,x,score\n"
    assert read_points(path) == {}
    with pytest.raises(ValueError, match="some images have scores, others none"):
        write_points(path, {"a": Points(np.ones((1, 2))), "b": Points(np.ones((1, 2)), np.ones(1))}, dims=2)


def test_a_table_without_rows_has_its_columns_dimensions(tmp_path):
    for header, dims, parts in (("id,y,x", 2, []), ("id,i,j,k,score", 3, ["scores"])):
        points = read_points(table(tmp_path, f"{header}\n"))
        assert points == {}
        assert (points.dims, len(points.none)) == (dims, 0)
        assert [part for part in ("scores", "extents") if getattr(points.none, part) is not None] == parts
    scored = read_points(table(tmp_path, "id,y,x,score\na,1,2,.5\nb,1,2,.5\n"))
    assert list(scored.without({"a"})) == ["b"]
    assert points_of(scored.without({"a", "b"}), ["a"], 2)[0].scores.shape == (0,)


@settings(max_examples=40)
@given(st.data(), st.sampled_from([2, 3]), st.booleans(), st.booleans())
def test_round_trip_is_bit_for_bit(tmp_path_factory, data, dims, scored, boxed):
    path = tmp_path_factory.mktemp("points") / "points.tsv"
    points = {}
    for name in data.draw(st.lists(st.sampled_from(["0", "00", "a b", 'q"t', "ü"]), unique=True, max_size=4)):
        n = data.draw(st.integers(1, 3))

        def array(*shape, values=numbers):
            flat = data.draw(st.lists(values, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
            return np.array(flat, np.float64).reshape(shape)

        extents = array(n, dims, values=st.floats(1e-3, 1e3)) if boxed else None
        points[name] = Points(array(n, dims), array(n) if scored else None, extents)
    write_points(path, points, dims)
    read = read_points(path)
    assert list(read) == list(points)
    for name, written in points.items():
        for part in ("coordinates", "scores", "extents"):
            assert np.array_equal(getattr(read[name], part), getattr(written, part)), part


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,y\na,1\n", ["expected the columns id, y, x (2D) or id, i, j, k (3D); found id, y"]),
        ("y,x\n1,2\n", ["lacks id"]),
        ("id,y,x,i,j,k\n", ["expected the columns"]),
        ("id,z,y,x\na,1,2,3\n", ["expected the columns"]),
        ("id,y,x,height\na,1,2,3\n", ["lacks width"]),
        (
            "id,y,x,score,height,width\na,nan,1,2,3,4\n,1,1,1,1,1\nb,1,,inf,0,-1\nok,1,1,1,1,1\nc,1,1,high,1,1\n",
            [
                "4 problems",
                "row 2 (id a): y is 'nan', not a finite number",
                "row 3 (id ): the id is missing",
                "row 4 (id b): x is '', not a finite number; score is 'inf', not a finite number; "
                "height is '0', not a positive number; width is '-1', not a positive number",
                "row 6 (id c): score is 'high', not a finite number",
            ],
        ),
    ],
)
def test_refused(tmp_path, content, words):
    with pytest.raises(InputError) as refused:
        read_points(table(tmp_path, content))
    message = str(refused.value).replace("points.csv: row", "points.csv:\n  row")
    for word in words:
        assert word in message
    assert "id ok" not in message


def test_points_of_a_cohort():
    points = {"b": Points(np.ones((2, 2)), np.ones(2)), "a": Points(np.zeros((1, 2)), np.zeros(1))}
    a, none, b = points_of(points, ["a", "c", "b"], dims=2)
    assert (len(a), len(none), len(b)) == (1, 0, 2)
    assert none.coordinates.shape == (0, 2)
    assert none.scores.shape == (0,)
    with pytest.raises(InputError) as refused:
        points_of(points | {"x": points["a"]}, ["a", "c", "b"], dims=2)
    assert "id x: has points, but is no image of the cohort" in str(refused.value)
    with pytest.raises(InputError, match="the points are in 2D, the images in 3D"):
        points_of(points, ["a", "b"], dims=3)
    assert points_of({}, ["a"], dims=3)[0].coordinates.shape == (0, 3)


def test_parts_must_fit():
    with pytest.raises(ValueError, match=r"scores of 2 points in 3D must have shape \(2,\), not \(3,\)"):
        Points(np.zeros((2, 3)), np.zeros(3))


def test_real_points_are_as_many_as_the_counts(shared_data):
    for name, boxed in (("nuclei_dsb2018", False), ("platelets_bccd", True)):
        cohort = read_cohort(shared_data / name / "cohort.csv")
        points = points_of(read_points(shared_data / name / "points.csv"), cohort.ids, 2)
        assert [len(each) for each in points] == cohort.counts.tolist()
        assert all((each.extents is not None) == boxed for each in points)


def test_points_of_one_region_and_of_images_without_a_position(tmp_path):
    path = table(tmp_path, "id,i,j,k,x_mm,y_mm,z_mm,region\na,1,2,3,4,5,6,hippocampi\nb,1,2,3,,,,midbrain\n")
    assert set(read_points(path)) == {"a", "b"}
    assert np.isnan(read_points(path)["b"].world_mm).all()
    assert list(read_points(path, "hippocampi")) == ["a"]
    assert not read_points(path, "basal_ganglia")
    write_points(tmp_path / "again.csv", read_points(path), 3)
    assert (tmp_path / "again.csv").read_text().splitlines()[2] == "b,1.0,2.0,3.0,,,"
    bad = table(tmp_path, "id,i,j,k,x_mm,y_mm,z_mm\na,1,2,3,four,5,6\nb,,2,3,4,5,6\n", "bad.csv")
    with pytest.raises(InputError, match="2 problems"):
        read_points(bad)


def test_the_first_points():
    whole = Points(np.arange(6.0).reshape(3, 2), scores=np.array([3.0, 2.0, 1.0]))
    for n, left in ((-1, 0), (0, 0), (2, 2), (7, 3)):
        few = whole.first(n)
        assert np.array_equal(few.coordinates, whole.coordinates[:left])
        assert np.array_equal(few.scores, whole.scores[:left])
        assert few.extents is few.world_mm is None
