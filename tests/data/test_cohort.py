"""Cohort tables: everything wrong is said at once, and splits keep subjects together."""

import numpy as np
import pytest

from weakspot.data.checks import parse_count
from weakspot.data.cohort import Cohort, CohortWarning, cohort_of_images, read_cohort, split_cohort
from weakspot.errors import InputError


@pytest.fixture
def cohort_file(tmp_path):
    """Write a cohort table beside the images a.png to h.png."""
    for name in "abcdefgh":
        (tmp_path / f"{name}.png").write_bytes(b"not looked into")

    def write(content, name="cohort.csv"):
        (tmp_path / name).write_text(content)
        return tmp_path / name

    return write


def refusal(path, **options):
    with pytest.raises(InputError) as refused:
        read_cohort(path, **options)
    return str(refused.value)


def test_a_cohort_as_it_should_be(cohort_file, tmp_path):
    path = cohort_file("id,image,count,age\n007,a.png,3\n".replace("3\n", "3.0,61\n") + f"08,{tmp_path}/b.png,0,\n")
    cohort = read_cohort(path)
    assert cohort.ids == ("007", "08")
    assert cohort.counts.tolist() == [3, 0]
    assert cohort.counts.dtype == np.float64
    assert cohort.paths == (tmp_path / "a.png", tmp_path / "b.png")
    assert cohort.table["age"].tolist() == ["61", ""]
    assert len(cohort.select(np.array([False, True]))) == 1


def test_tsv(cohort_file):
    assert read_cohort(cohort_file("id\timage\tcount\nx\ta.png\t1\n", "cohort.tsv")).ids == ("x",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3),
        ("3.0", 3),
        ("3.", 3),
        ("+4", 4),
        ("1e2", 100),
        ("0", 0),
        ("-0", 0),
        ("16777216", 2**24),
        ("16777217", "the count '16777217' is larger than 16777216"),
        ("1e999", "the count '1e999' is larger than 16777216"),
        ("2.5", 2.5),
        ("-1", "the count '-1' is negative"),
        ("", "the count is missing"),
        ("NaN", "the count is missing"),
        ("many", "the count 'many' is not a number"),
        ("1_000", "the count '1_000' is not a number"),
        ("1,5", "the count '1,5' is not a number"),
        ("inf", "the count 'inf' is not a number"),
        ("٣", "the count '٣' is not a number"),
    ],
)
def test_counts(text, expected):
    assert parse_count(text) == expected


def test_all_problems_come_at_once_with_row_and_id(cohort_file):
    path = cohort_file(
        "id,image,count,split,subject,mask\n"
        "one,a.png,two,train,s1,\n"
        "two,gone.png,-1,val,s2,lost.png\n"
        "one,b.png,,train,,\n"
        "four,c.png,x,dev,s3,\n"
        ",d.png,1,,s4,\n"
        "six,a.png,1,val,s1,\n"
        "fine,e.png,1,Validation,s5,b.png\n"
        "eight,,1,train,s5,\n"
    )
    lines = refusal(path).split("\n  ")
    assert lines == [
        f"{path}: 7 problems",
        "row 2 (id one): the count 'two' is not a number",
        "row 3 (id two): gone.png: no such file; lost.png: no such file; the count '-1' is negative",
        "row 4 (id one): the count is missing; the subject is missing; the id is that of row 2, too",
        "row 5 (id four): the count 'x' is not a number; the split 'dev' is none of train, val, test",
        "row 6 (id ): the id is missing; the split '' is none of train, val, test",
        "row 7 (id six): its image is of the split 'val' here, of 'train' in row 2; "
        "its subject is of the split 'val' here, of 'train' in row 2",
        "row 9 (id eight): no image is named; its subject is of the split 'train' here, of 'val' in row 8",
    ]


def test_names_that_no_file_can_have(cohort_file, tmp_path):
    (tmp_path / "circle.png").symlink_to("circle.png")
    message = refusal(cohort_file("id,image,count\na,circle.png,1\nb," + "long" * 100 + ",2\nc,,3\n"))
    assert "3 problems" in message
    assert "row 4 (id c): no image is named" in message


def test_a_long_list_is_cut_and_counted(cohort_file):
    path = cohort_file("id,image,count\n" + "".join(f"{k},a.png,?\n" for k in range(25)))
    lines = refusal(path).split("\n  ")
    assert lines[0].endswith("25 problems")
    assert len(lines) == 1 + 20 + 1
    assert lines[-1] == "... and 5 more"


def test_one_problem_is_one_line(cohort_file):
    path = cohort_file("id,image,count\na,a.png,1\nb,b.png,-2\n")
    assert refusal(path) == f"{path}: row 3 (id b): the count '-2' is negative"


def test_the_same_image_by_another_way(cohort_file, tmp_path):
    (tmp_path / "link.png").symlink_to("a.png")
    path = cohort_file("id,image,count,split\n1,a.png,1,train\n2,./link.png,2,test\n")
    assert "its image is of the split 'test' here, of 'train' in row 2" in refusal(path)
    path = cohort_file("id,image,count,subject\n1,a.png,1,ann\n2,link.png,2,bob\n")
    assert "its image is of the subject 'bob' here, of 'ann' in row 2" in refusal(path)
    path = cohort_file("id,image,count,split\n1,a.png,1,train\n2,link.png,2,train\n")
    assert len(read_cohort(path)) == 2


def test_counts_that_never_differ_are_warned_of(cohort_file):
    with pytest.warns(CohortWarning, match="all 2 counts are 4"):
        read_cohort(cohort_file("id,image,count\na,a.png,4\nb,b.png,4.0\n"))


def test_without_rows(cohort_file):
    assert "no rows" in refusal(cohort_file("id,image,count\n"))


def test_prediction_needs_no_counts(cohort_file):
    for content in ("id,image\na,a.png\n", "id,image,count\na,a.png,unknown\n"):
        path = cohort_file(content)
        cohort = read_cohort(path, counts=False)
        assert cohort.ids == ("a",)
        with pytest.raises(InputError, match="without counts"):
            _ = cohort.counts
    assert "lacks count" in refusal(cohort_file("id,image\na,a.png\n"))


def test_bare_images(tmp_path):
    for name in ("a.b.png", "scan.nii.gz", "x.tif", "x.png"):
        (tmp_path / name).write_bytes(b"0")
    cohort = cohort_of_images([tmp_path / "a.b.png", tmp_path / "scan.nii.gz"])
    assert cohort.ids == ("a.b", "scan")
    assert cohort.paths == (tmp_path / "a.b.png", tmp_path / "scan.nii.gz")
    with pytest.raises(InputError) as refused:
        cohort_of_images([tmp_path / "x.tif", tmp_path / "x.png", tmp_path / "no.png", tmp_path])
    for words in (
        f"{tmp_path / 'x.png'}: its id would be 'x', as of {tmp_path / 'x.tif'}",
        "no.png: no such file",
        "a folder, not a file",
    ):
        assert words in str(refused.value)
    with pytest.raises(InputError, match="no images"):
        cohort_of_images([])


def test_a_split_column_is_followed(cohort_file):
    rows = "a,a.png,1,test\nb,b.png,2,train\nc,c.png,3,validation\nd,d.png,4,train\n"
    splits = split_cohort(read_cohort(cohort_file("id,image,count,split\n" + rows)), seed=0)
    assert [part.ids for part in splits] == [("b", "d"), ("c",), ("a",)]


def test_a_validation_set_is_drawn_from_train_only(cohort_file):
    rows = "a,a.png,1,test\nb,b.png,2,train\nc,c.png,3,train\nd,d.png,4,train\n"
    splits = split_cohort(read_cohort(cohort_file("id,image,count,split\n" + rows)), seed=0)
    assert splits.test.ids == ("a",)
    assert len(splits.val) == 1
    assert sorted(splits.train.ids + splits.val.ids) == ["b", "c", "d"]


def test_subjects_stay_together_whatever_the_order_of_rows(cohort_file):
    rows = [f"{k},{name}.png,{k},s{k % 4}\n" for k, name in enumerate("abcdefgh")]
    seen = set()
    for seed in range(20):
        splits = split_cohort(read_cohort(cohort_file("id,image,count,subject\n" + "".join(rows))), seed, 0.3)
        assert len(splits.val) == 2  # 0.3 of 4 subjects is one, with its two images
        assert not set(splits.train.subjects) & set(splits.val.subjects)
        backwards = read_cohort(cohort_file("id,image,count,subject\n" + "".join(rows[::-1])))
        assert split_cohort(backwards, seed, 0.3).val.ids == splits.val.ids[::-1]
        seen.add(splits.val.ids)
    assert len(seen) == 4


def test_rows_of_one_image_stay_together(cohort_file):
    rows = "1,a.png,1\n2,./a.png,2\n3,b.png,3\n4,c.png,4\n"
    cohort = read_cohort(cohort_file("id,image,count\n" + rows))
    assert cohort.subjects == ("1", "1", "3", "4")
    for seed in range(10):
        val = split_cohort(cohort, seed).val.ids
        assert ("1" in val) == ("2" in val)


def test_splits_that_cannot_be(cohort_file):
    single = read_cohort(cohort_file("id,image,count,subject\n1,a.png,1,s\n2,b.png,2,s\n"))
    with pytest.raises(InputError, match="the one subject 's'"):
        split_cohort(single, 0)
    with pytest.raises(InputError, match="between 0 and 1, not 1"):
        split_cohort(single, 0, validation=1)
    none = read_cohort(cohort_file("id,image,count,split\n1,a.png,1,val\n2,b.png,2,test\n"))
    with pytest.raises(InputError, match="only test, val"):
        split_cohort(none, 0)


def test_real_cohorts(shared_data):
    for name, size, largest in (("nuclei_dsb2018", 264, 101), ("platelets_bccd", 292, 6)):
        cohort = read_cohort(shared_data / name / "cohort.csv")
        assert isinstance(cohort, Cohort)
        assert (len(cohort), cohort.counts.max()) == (size, largest)
        splits = split_cohort(cohort, 0)
        assert len(splits.train) + len(splits.val) == size
        assert len(splits.test) == 0


def test_for_evaluation_neither_images_nor_their_column_are_needed(tmp_path):
    path = tmp_path / "cohort.csv"
    path.write_text("id,image,split\na,gone.png,test\nb,gone.png,train\n")
    assert read_cohort(path, counts=False, images=False).with_split("test").ids == ("a",)
    path.write_text("id\n01\n02\n")
    cohort = read_cohort(path, counts=False, images=False)
    assert cohort.ids == cohort.subjects == ("01", "02")
    with pytest.raises(InputError, match="no column 'split'"):
        cohort.with_split("test")
