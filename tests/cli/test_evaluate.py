"""``weakspot evaluate`` on scenes judged by hand."""

import json
from pathlib import Path

import pytest

from tests.cli.tables import RADIUS, evaluated, write
from tests.test_cli import fails, run
from weakspot.cli import judging
from weakspot.evaluation.conventions import CHOICES
from weakspot.report import figures
from weakspot.report.figures import froc_figure

pytestmark = pytest.mark.usefixtures("scene")


def test_the_curve_and_every_figure_by_hand():
    # Sensitivity is the mean of a (of 2 objects) and b (of 1): 0.9 is a hit of a, 0.6 one of b.
    found = evaluated(*RADIUS)
    assert found["curve"]["threshold"] == [None, 0.9, 0.8, 0.7, 0.6, 0.5]
    assert found["curve"]["fp"] == pytest.approx([0, 0, 1 / 3, 2 / 3, 2 / 3, 1])
    assert found["curve"]["sensitivity"] == pytest.approx([0, 0.25, 0.25, 0.25, 0.75, 0.75])
    # 0.25 up to 2/3 false positives an image, 0.75 from there to 2.
    assert found["fauc"] == pytest.approx((0.25 * 2 / 3 + 0.75 * 4 / 3) / 2)
    # All are kept: precision 1/3 of a, 1 of b, 0 of c.
    assert found["sensitivity"] == pytest.approx(0.75)
    assert found["precision"] == pytest.approx(4 / 9)
    assert (found["fp_avg"], found["fn_avg"]) == pytest.approx((1, 1 / 3))
    assert (found["n_images"], found["n_objects"], found["n_detections"], found["n_subjects"]) == (3, 3, 5, 2)
    assert found["fauc_sd"] > 0
    assert found["fauc_ci95"][0] <= found["fauc"] <= found["fauc_ci95"][1]
    assert found["conventions"]["operating_point"] == "all"
    assert found["conventions"]["hit"] == "distance <= 4 voxels"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--counts", "counts.csv"], (0.75, 1, 0, 1 / 3)),  # 1, 1 and 0 are kept: 0.9 and 0.6
        (["--threshold", 0.7], (0.25, 1 / 3, 2 / 3, 2 / 3)),  # all of a, so precision has a alone
        (["--k", 2], (0.75, 0.5, 2 / 3, 1 / 3)),  # precision 1/2 of a, 1 of b, 0 of c
        (["--k", 0], (0, None, 0, 1)),
        (["--averaging", "object"], (2 / 3, 2 / 5, 1, 1 / 3)),
        (["--threshold", 0.7, "--counts", "counts.csv"], (0.25, 1 / 3, 2 / 3, 2 / 3)),
    ],
)
def test_the_operating_points_by_hand(options, expected):
    found = evaluated(*RADIUS, *options)
    assert tuple(found[name] for name in ("sensitivity", "precision", "fp_avg", "fn_avg")) == pytest.approx(expected)
    if "--counts" in options:  # errors -0.6, -0.4, -0.2
        assert (found["count_mae"], found["count_bias"]) == pytest.approx((0.4, -0.4))


def test_a_curve_by_rank():
    # k = 1 keeps 0.9, 0.6 and 0.5; k = 2 also 0.8; k = 3 also 0.7.
    curve = evaluated(*RADIUS, "--selection", "top_k")["curve"]
    assert curve["threshold"] == [0, 1, 2, 3]
    assert curve["fp"] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert curve["sensitivity"] == pytest.approx([0, 0.75, 0.75, 0.75])


def test_rates_with_their_thresholds():
    # From 1/3 to 2/3 false positives an image the score 0.8 is kept at 1/3, then 0.6 at 2/3 (see the curve above).
    found = evaluated(*RADIUS, "--rates", "0.5, 1,0")
    assert [(at["fp"], at["threshold"]) for at in found["sensitivity_at"]] == [(0.5, 0.8), (1, 0.5), (0, 0.9)]
    assert [at["sensitivity"] for at in found["sensitivity_at"]] == pytest.approx([0.25, 0.75, 0.25])
    assert found["conventions"]["rates"] == [0.5, 1, 0]
    arguments = ["evaluate", "found.csv", "truth.csv", "--cohort", "cohort.csv", *RADIUS, "--resamples", 0]
    printed = run(*arguments, "--rates", "0.5", "--format", "markdown").stdout
    assert "| 0.5 | 25.0 | 0.8 |" in printed
    assert (
        "lowest score kept: the one that keeps the most detections at no more false positives than the rate" in printed
    )
    by_rank = run(*arguments, "--rates", "0.5", "--format", "markdown", "--selection", "top_k").stdout
    assert "| 0.5 | 75.0 | 1 |" in by_rank
    assert "k: the one that keeps the most" in by_rank
    assert "at given false positives" not in run(*arguments, "--rates", "").stdout


def test_a_rate_that_keeps_nothing():
    write(Path(), "found", "id,y,x,score\nc,5,5,.5\n")
    arguments = ["evaluate", "found.csv", "truth.csv", "--cohort", "cohort.csv", *RADIUS, "--resamples", 0]
    printed = run(*arguments, "--rates", "0.1", "--format", "markdown").stdout
    assert "| 0.1 | 0.0 | nothing kept |" in printed


def test_every_image_in_a_table():
    # By count 1, 1 and 0 are kept: 0.9 in a, a hit of two objects, 0.6 in b, a hit, and nothing in c.
    evaluated(*RADIUS, "--counts", "counts.csv", "--per-image", "images.csv", "--resamples", 0)
    header, a, b, c = (line.split(",") for line in Path("images.csv").read_text().splitlines())
    fields = "objects kept tp fp fn sensitivity precision f1 count_error"
    assert header == ["id", "subject", *fields.split()]
    assert a[:-1] == ["a", "s1", "2", "1", "1", "0", "1", "0.5", "1.0", str(2 / 3)]
    assert b[:-1] == ["b", "s1", "1", "1", "1", "0", "0", "1.0", "1.0", "1.0"]
    assert c[:-1] == ["c", "s2", "0", "0", "0", "0", "0", "", "", ""]
    assert [float(row[-1]) for row in (a, b, c)] == pytest.approx([-0.6, -0.4, -0.2])
    write(Path(), "cohort", "id\nb\nc\na\n")
    evaluated(*RADIUS, "--per-image", "images.tsv", "--resamples", 0)
    header, *rows = (line.split("\t") for line in Path("images.tsv").read_text().splitlines())
    assert header == ["id", *fields.split()[:-1]]
    assert [row[:6] for row in rows] == [
        ["b", "1", "1", "1", "0", "0"],
        ["c", "0", "1", "0", "1", "0"],
        ["a", "2", "3", "1", "2", "1"],
    ]


def test_matching_by_name():
    # Objects at x = 0 and 4, the best detection at 3, the other at 6, radius 3. Greedy: the best takes the nearest, 4,
    # and 6 reaches nothing more. Gated: 3 goes to 0 and 6 to 4, two pairs.
    write(Path(), "truth", "id,y,x\na,0,0\na,0,4\n")
    write(Path(), "found", "id,y,x,score\na,0,3,.9\na,0,6,.8\n")
    by_rule = {rule: evaluated("--radius-vox", 3, "--matching", rule) for rule in ("gated", "paper", "greedy")}
    assert {rule: found["sensitivity"] for rule, found in by_rule.items()} == {"gated": 1, "paper": 0.5, "greedy": 0.5}
    assert by_rule["paper"]["conventions"]["hit"] == "distance < 3 voxels"  # so 3 to 0 is no hit there


def test_millimetres_follow_the_spacing_of_each_axis():
    # In a, 6 voxels along x are 3 mm: a hit. In b the object is found at 0 mm.
    write(Path(), "cohort", "id,spacing_y,spacing_x\na,2,0.5\nb,1,1\nc,1,1\n")
    assert evaluated("--radius-mm", 3)["sensitivity"] == 1
    assert evaluated("--radius-mm", 2.9)["sensitivity"] == 0.75
    write(Path(), "cohort", "id,spacing_y,spacing_x\na,0.5,2\nb,1,1\nc,1,1\n")
    assert evaluated("--radius-mm", 3)["sensitivity"] == 0.5
    assert evaluated("--radius-mm", 3)["conventions"]["hit"] == "distance <= 3 mm"


def test_inside_the_extent():
    write(Path(), "truth", "id,y,x,height,width\na,10,10,2,8\na,20,20,2,8\nb,10,10,1,1\n")
    assert evaluated("--inside")["sensitivity"] == 0.75  # 3 of 4 voxels to the right of the centre; 6 are too far


VOLUMES = {
    "cohort": "id,slice,size_i,size_j,size_k\na,2,9,9,7\nb,,9,9,7\n",
    "truth": "id,i,j,k\na,1,1,2\na,3,3,5\nb,2,2,3\nb,6,6,0\n",
    "found": "id,i,j,k,score\na,1,1,2,.9\na,3,3,5,.8\na,8,8,2,.6\nb,2,2,2,.7\n",
}


def volumes(**tables: str) -> None:
    for name, text in (VOLUMES | tables).items():
        write(Path(), name, text)


@pytest.mark.parametrize("axis", ["k", "2"])
def test_one_slice_of_each_volume(axis):
    volumes()
    whole = evaluated("--radius-vox", 1)
    assert (whole["n_objects"], whole["n_detections"], whole["sensitivity"]) == (4, 4, 0.75)
    # Slice 2 of a holds its first object, found, and one false positive; slice 3, the middle one of b, an object that
    # is missed: its detection is in slice 2.
    found = evaluated("--radius-vox", 1, "--slice-axis", axis)
    assert (found["n_objects"], found["n_detections"], found["sensitivity"], found["fp_avg"]) == (2, 2, 0.5, 0.5)
    assert found["conventions"]["slice_axis"] == 2


def test_slices_that_are_all_named_need_no_sizes():
    volumes(cohort="id,slice\na,2\nb,3\n")
    found = evaluated("--radius-vox", 1, "--slice-axis", "k")
    assert (found["n_objects"], found["n_detections"], found["sensitivity"], found["fp_avg"]) == (2, 2, 0.5, 0.5)
    volumes(cohort="id,slice,size_k\na,2,\nb,,7\n")
    assert evaluated("--radius-vox", 1, "--slice-axis", "k")["sensitivity"] == 0.5


def test_a_slice_leaves_the_spacing_of_the_other_axes():
    header = "id,slice,size_i,size_j,size_k,spacing_i,spacing_j,spacing_k"
    volumes(
        cohort=f"{header}\na,4,9,9,9,5,1,3\nb,4,9,9,9,5,1,3\n",
        truth="id,i,j,k\na,4,1,1\n",
        found="id,i,j,k,score\na,4,3,1,.5\n",
    )
    assert evaluated("--radius-mm", 2, "--slice-axis", "i")["sensitivity"] == 1
    assert evaluated("--radius-mm", 1.9, "--slice-axis", "i")["sensitivity"] == 0


def test_the_bootstrap_draws_subjects():
    # Found in a and b, missed in c and d: the mean of two subjects drawn is 0, 0.5 or 1, of sd sqrt(1/8); of four
    # images drawn it is a share of binomial(4, 1/2), of sd 1/4.
    write(Path(), "truth", "id,y,x\n" + "".join(f"{name},5,5\n" for name in "abcd"))
    write(Path(), "found", "id,y,x,score\na,5,5,.9\nb,5,5,.8\n")
    write(Path(), "cohort", "id\na\nb\nc\nd\n")
    images = evaluated("--radius-vox", 1)
    write(Path(), "cohort", "id,subject\na,s\nb,s\nc,t\nd,t\n")
    subjects = evaluated("--radius-vox", 1)
    assert images["sensitivity"] == subjects["sensitivity"] == 0.5
    assert images["sensitivity_sd"] == pytest.approx(0.25, rel=0.1)
    assert subjects["sensitivity_sd"] == pytest.approx(0.125**0.5, rel=0.1)
    assert (images["n_subjects"], subjects["n_subjects"]) == (4, 2)
    assert subjects["sensitivity_ci95"] == [0, 1]


def test_the_seed_decides():
    written = []
    for seed in (1, 1, 2):
        evaluated(*RADIUS, "--seed", seed, "--resamples", 50)
        written.append(Path("result.json").read_bytes())
    assert written[0] == written[1] != written[2]
    assert evaluated(*RADIUS, "--resamples", 0)["fauc_ci95"] == [None, None]
    moved = evaluated(*RADIUS, "--interval", "bca", "--seed", 1, "--resamples", 50)
    assert moved["conventions"]["interval"] == "bca"


def test_only_the_images_of_a_split():
    write(Path(), "cohort", "id,split\na,train\nb,test\nc,test\n")
    found = evaluated(*RADIUS, "--split", "test", "--counts", "counts.csv")
    assert (found["n_images"], found["n_objects"], found["n_detections"], found["sensitivity"]) == (2, 1, 2, 1)
    assert found["count_mae"] == pytest.approx(0.3)


@pytest.mark.filterwarnings("default:no object in any image:RuntimeWarning")
def test_no_object_anywhere_is_not_defined_and_said():
    volumes(truth="id,i,j,k\n")
    arguments = ["evaluate", "found.csv", "truth.csv", "--cohort", "cohort.csv", "--radius-vox", 1]
    done = run(*arguments, "--json", "result.json", "--figure", "froc")
    assert "no object in any image" in done.stderr
    assert "not defined" in done.stdout
    found = json.loads(Path("result.json").read_text())
    assert (found["fauc"], found["sensitivity"], found["fp_avg"]) == (None, None, 2)
    assert evaluated("--inside")["fp_avg"] == 2  # nothing to be inside of, so nothing lacks its extent


def test_no_detection_anywhere_finds_nothing():
    volumes(found="id,i,j,k,score\n")
    found = evaluated("--radius-vox", 1, "--slice-axis", "k", "--k", 1)
    assert (found["fauc"], found["sensitivity"], found["fp_avg"], found["fn_avg"]) == (0, 0, 0, 1)


def test_tables_in_every_form():
    arguments = ["evaluate", "found.csv", "truth.csv", "--cohort", "cohort.csv", *RADIUS, "--resamples", 0]
    text = run(*arguments).stdout
    assert "3 images, of 2 subjects: 3 objects, 5 detections" in text
    assert "95 % interval over subjects" in text
    assert "hit: distance <= 4 voxels" in text
    assert "radius:" not in text
    assert any(line.split() == ["sensitivity", "(%)", "75.0"] for line in text.splitlines())
    assert "| FAUC, 0 to 2 false positives an image (%) | 58.3 |" in run(*arguments, "--format", "markdown").stdout
    latex = run(*arguments, "--format", "latex").stdout
    assert r"FAUC, 0 to 2 false positives an image (\%) & 58.3 \\" in latex
    assert r"hit: distance $\leq$ 4 voxels" in latex
    # a and b are found or not together; with c alone nothing is defined: the interval is the value.
    assert "75.0 (75.0 - 75.0)" in run(*arguments, "--resamples", 20).stdout


def test_the_figure_shows_curve_operating_point_and_raters(monkeypatch: pytest.MonkeyPatch):
    write(Path(), "second", "id,y,x\na,10,12\nb,10,10\nb,1,1\nc,5,5\n")
    drawn = {}

    def watched(curves, max_fp, points, operating):
        drawn.update(curves=curves, max_fp=max_fp, points=points, operating=operating)
        return froc_figure(curves, max_fp, points, operating)

    monkeypatch.setattr(figures, "froc_figure", watched)
    found = evaluated(*RADIUS, "--k", 2, "--raters", "truth.csv", "second.csv", "--figure", "froc.svg")
    # The second rater finds 1 of 2 in a, 1 of 1 in b, with 2 false points in 3 images; the truth against him finds all
    # of a, half of b and none of c, with 1 false point.
    assert drawn["points"] == [
        ("second against truth", pytest.approx(2 / 3), pytest.approx(0.75)),
        ("truth against second", pytest.approx(1 / 3), pytest.approx(0.5)),
    ]
    assert found["raters"]["first_as_reference"]["sensitivity"] == 0.75
    (curve,) = drawn["curves"]
    assert curve.name == "found"
    assert curve.point == (found["fp_avg"], found["sensitivity"])
    assert (drawn["max_fp"], drawn["operating"]) == (2, "at k = 2")
    assert ">truth against second<" in Path("froc.svg").read_text()
    assert Path("froc.png").stat().st_size > 1000
    evaluated(*RADIUS, "--figure", "all")
    assert (drawn["curves"][0].point, drawn["operating"]) == (None, "")  # where all are kept, the curve ends


def test_the_choices_are_those_of_the_conventions():
    for choice in ("matching", "averaging", "selection", "interval"):
        assert [*getattr(judging, choice.capitalize())] == list(CHOICES[choice])
    said = run("evaluate", "--help").stdout
    assert "gated|paper|greedy" in said
    run("evaluate", "found.csv", "truth.csv", "--cohort", "cohort.csv", *RADIUS, "--matching", "best", code=2)


def test_no_table_that_is_read_is_written_over(scene: Path):
    given = ("evaluate", "found.csv", "truth.csv", "--cohort", "cohort.csv", "--counts", "counts.csv", *RADIUS)
    before = {path.name: path.read_bytes() for path in scene.iterdir()}
    for option, name in (("--json", "./truth.csv"), ("--per-image", "counts.csv"), ("--json", "cohort.csv")):
        assert f"{Path(name)} is read by this command" in fails(*given, option, name)
    assert "two different results" in fails(*given, "--json", "same.csv", "--per-image", "same.csv")
    assert {path.name: path.read_bytes() for path in scene.iterdir()} == before
