"""What the commands that judge points say of bad input: one clear line, exit code 1, nothing written."""

from pathlib import Path

import pytest

from tests.cli.tables import COHORT, COUNTS, FOUND, TRUTH, write
from tests.test_cli import run

EVALUATE = "evaluate found.csv truth.csv --cohort cohort.csv --json result.json --figure froc"
COMPARE = "compare a=found.csv b=found.csv --truth truth.csv --cohort cohort.csv --json result.json --figure froc"
AGREEMENT = "agreement truth.csv found.csv --cohort cohort.csv --json result.json"
SIZED = "id,size_y,size_x\na,50,50\nb,30,30\nc,30,30\n"
VOLUMES = {
    "cohort": "id,slice,size_i,size_j,size_k\na,2,9,9,7\nb,,9,9,7\n",
    "truth": "id,i,j,k\na,1,1,2\n",
    "found": "id,i,j,k,score\na,1,1,2,.9\n",
}


def refused(scene: Path, command: str, **tables: str) -> str:
    for name, text in tables.items():
        write(scene, name, text)
    before = sorted(scene.iterdir())
    said = run(*command.split(), code=1).stderr
    assert said.count("error:") == 1
    assert sorted(scene.iterdir()) == before
    return said.removeprefix("error: ")


@pytest.mark.parametrize("command", [EVALUATE, COMPARE, AGREEMENT])
def test_options_that_exclude_each_other(scene: Path, command: str):
    assert "--radius-vox R, --radius-mm R and --inside; nothing was given" in refused(scene, command)
    for both in ("--radius-vox 3 --inside", "--radius-vox 3 --radius-mm 3", "--radius-mm 2 --inside"):
        names = " and ".join(word for word in both.split() if word.startswith("--"))
        assert f"{names} were given" in refused(scene, f"{command} {both}")
    if command != AGREEMENT:
        assert "--threshold and --k" in refused(scene, f"{command} --radius-vox 3 --threshold .5 --k 2")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--radius-vox -1", "radius -1.0: expected a finite number, at least 0"),
        ("--radius-vox nan", "radius nan"),
        ("--radius-vox 3 --max-fp 0", "expected a finite number above 0"),
        ("--radius-vox 3 --threshold nan", "operating value nan: expected a finite number"),
        ("--radius-vox 3 --threshold inf", "operating value inf: expected a finite number"),
        ("--radius-vox 3 --rates 1,x", "--rates '1,x': expected numbers with commas between them, as 0.25,1,4"),
        ("--radius-vox 3 --rates 1,-2", "false-positive rates (1.0, -2.0): expected finite numbers, at least 0"),
        ("--radius-vox 3 --per-image images.xls", "images.xls: a table's name ends in .csv (commas) or .tsv (tabs)"),
        ("--radius-vox 3 --split test", "cohort.csv: the cohort has no column 'split'"),
        ("--radius-vox 3 --counts none.csv", "none.csv: no such file"),
        ("--radius-vox 3 --raters truth.csv none.csv", "none.csv: no such file"),
        (
            "--radius-mm 3",
            "cohort.csv: the cohort lacks the columns spacing_y, spacing_x (spacing of images in 2D, in mm)",
        ),
        ("--inside", "truth.csv: no columns height and width for a hit to be inside of: add them, or choose a radius"),
        ("--radius-vox 3 --slice-axis k", "that takes volumes, and the points are in 2D"),
    ],
)
def test_options_that_do_not_fit(scene: Path, options: str, words: str):
    assert words in refused(scene, f"{EVALUATE} {options}")


def test_ids_that_are_not_in_the_cohort_are_all_named(scene: Path):
    tables = {"found": f"{FOUND}x,1,1,.5\ny,1,1,.5\nx,2,2,.5\n", "truth": f"{TRUTH}z,1,1\n", "counts": f"{COUNTS}w,1\n"}
    said = refused(scene, f"{EVALUATE} --radius-vox 3 --counts counts.csv", **tables)
    assert "ids that are not in cohort.csv (it has such as a, b, c); add them, or leave their rows out" in said
    assert [line.strip() for line in said.splitlines()[1:]] == ["found.csv: x, y", "truth.csv: z", "counts.csv: w"]
    said = refused(scene, f"{EVALUATE} --radius-vox 3", found=FOUND, truth=TRUTH, cohort="id\n1\n")
    assert "found.csv: a, b, c" in said
    assert "truth.csv: a, b" in said
    many = "id,y,x\n" + "".join(f"{number},1,1\n" for number in range(30))
    assert "and 20 more" in refused(scene, f"{AGREEMENT} --radius-vox 3", truth=many, found=FOUND, cohort=COHORT)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"found": "id,y,x\na,1,1\n"}, "found.csv: the detections have no column 'score'"),
        ({"found": "id,y,x,score\na,1,1,\n"}, "found.csv: row 2 (id a): score is '', not a finite number"),
        ({"found": "id,y,x,score\na,nan,1,.5\n"}, "found.csv: row 2 (id a): y is 'nan', not a finite number"),
        ({"truth": "id,y,x\na,nan,1\n"}, "truth.csv: row 2 (id a): y is 'nan'"),
        ({"found": f"{FOUND}a,10,13,.1\n"}, "found.csv: detections: a point given twice in image a: (10, 13)"),
        ({"truth": f"{TRUTH}b,10,10\n"}, "truth.csv: truth: a point given twice in image b: (10, 10)"),
        (
            {"found": f"{FOUND}b,10,30,.1\nc,99,1,.1\n"},
            "found.csv: detections: points outside their image in images b, c: (10, 30), where the size is (30, 30)",
        ),
        ({"truth": f"{TRUTH}b,-1,3\n"}, "image b: (-1, 3), where the size is (30, 30); expected indices of voxels"),
        ({"found": f"{FOUND}b,1e200,3,.1\n"}, "found.csv: detections: coordinates that are NaN, infinite or immense"),
        ({"counts": "id,count\na,1\nb,1e30\nc,1\n"}, "found.csv: predicted counts that are NaN, infinite or immense"),
        ({"cohort": "name\na\n"}, "cohort.csv: the table lacks id"),
        ({"cohort": "id\n"}, "cohort.csv: the table has a header and no rows"),
        ({"cohort": "id,size_y\na,9\n" + "b,9\nc,9\n"}, "the cohort lacks the columns size_x"),
        ({"counts": "id,count\na,1\nb,many\n"}, "counts.csv: expected one finite count for each image of the cohort"),
        ({"truth": "id,i,j,k\na,1,1,1\n"}, "found.csv is in 2D, truth.csv in 3D: expected the same"),
        ({"truth": "id,i,j,k\n"}, "found.csv is in 2D, truth.csv in 3D: expected the same"),
    ],
)
def test_tables_that_do_not_fit(scene: Path, tables: dict[str, str], words: str):
    assert words in refused(scene, f"{EVALUATE} --radius-vox 3 --counts counts.csv", **({"cohort": SIZED} | tables))


@pytest.mark.parametrize(
    ("cohort", "axis", "words"),
    [
        ("id\na\nb\n", "k", ["2 of 2 images name no slice, and there is no column size_k (voxels)"]),
        (VOLUMES["cohort"], "3", ["slice axis '3': expected i, j, k or its number, 0 to 2"]),
        (
            "id,slice,size_i,size_j,size_k\na,7,9,9,7\nb,-1,9,9,0\nc,2.5,9,9,7\nd,x,9,9,7\ne,6,9,9,7\n",
            "k",
            [
                "cohort.csv: the images' geometry: 4 problems",
                "row 2 (id a): slice 7: expected a whole number from 0 to 6",
                "row 3 (id b): size_k is '0', not a whole number above 0",
                "row 4 (id c): slice 2.5: expected a whole number from 0 to 6",
                "row 5 (id d): slice is 'x', not a number, nor empty (the middle one)",
            ],
        ),
    ],
)
def test_slices_that_are_not_there(scene: Path, cohort: str, axis: str, words: list[str]):
    said = refused(scene, f"{EVALUATE} --radius-vox 1 --slice-axis {axis}", **(VOLUMES | {"cohort": cohort}))
    for each in words:
        assert each in said
    assert "id e" not in said


def test_methods_that_are_not_named(scene: Path):
    rest = "--truth truth.csv --cohort cohort.csv --radius-vox 3"
    for wrong in ("found.csv", "=found.csv", "a="):
        assert f"{wrong!r}: expected NAME=TABLE" in refused(scene, f"compare {wrong} b=found.csv {rest}")
    assert "the name 'a' twice" in refused(scene, f"compare a=found.csv a=truth.csv {rest}")
    assert "at least two" in refused(scene, f"compare a=found.csv {rest}")
    both = f"compare a=found.csv b=found.csv {rest}"
    assert "counts of c, but the methods are a, b" in refused(scene, f"{both} --counts c=counts.csv")
    assert "counts of a only" in refused(scene, f"{both} --counts a=counts.csv")
    assert "expected NAME=TABLE" in refused(scene, f"{both} --counts counts.csv")
    run("compare", code=2)


def test_a_folder_that_is_not_there(scene: Path):
    for there, name in (("result.json", "none/result.json"), ("froc", "none/froc")):
        said = refused(scene, EVALUATE.replace(there, name) + " --radius-vox 3")
        assert name in said
        assert "there is no folder none; make it first" in said


def test_a_folder_in_the_place_of_a_file(scene: Path):
    for name in ("result.json", "froc.png", "images.csv"):
        (scene / name).mkdir()
        said = refused(scene, f"{EVALUATE} --per-image images.csv --radius-vox 3")
        assert f"{name} is a folder: name a file" in said
        (scene / name).rmdir()


def test_figures_of_another_kind(scene: Path):
    said = refused(scene, EVALUATE.replace("--figure froc", "--figure fig.pdf") + " --radius-vox 3")
    assert said.strip() == "fig.pdf: figures are SVG and PNG; name it fig, which gives fig.svg and .png"


def test_a_k_beyond_all_numbers_keeps_all(scene: Path):
    run(*EVALUATE.split(), "--radius-vox", 3, "--k", 10**30)
    assert (scene / "froc.png").is_file()
