"""``weakspot compare`` on scenes judged by hand."""

import json
from pathlib import Path

import pytest

from tests.cli.tables import COUNTS, RADIUS, evaluated, result, write
from tests.test_cli import run

# Two methods more: one that finds everything, and one that finds nothing.
PERFECT = "id,y,x,score\na,10,10,.9\na,20,20,.8\nb,10,10,.6\n"
BLIND = "id,y,x,score\na,60,60,.9\nb,60,60,.8\nc,60,60,.6\n"


@pytest.fixture(autouse=True)
def methods(scene: Path) -> None:
    write(scene, "perfect", PERFECT)
    write(scene, "blind", BLIND)


def compared(*options: object, names: str = "found perfect blind") -> dict:
    tables = [f"{name}={name}.csv" for name in names.split()]
    return result("compare", *tables, "--truth", "truth.csv", "--cohort", "cohort.csv", *RADIUS, *options)


def test_each_method_is_as_evaluated_alone():
    together = compared("--resamples", 100)
    assert together["order"] == ["found", "perfect", "blind"]
    alone = evaluated(*RADIUS, "--resamples", 100)
    assert {**together["methods"]["found"], "images": together["images"]} == alone
    assert [each["fauc"] for each in together["methods"].values()] == pytest.approx([7 / 12, 1, 0])
    assert together["tests"]["fauc"]["difference"][0] == pytest.approx([0, 7 / 12 - 1, 7 / 12])


def test_tests_and_marks_by_hand():
    # Twelve subjects with an object each; "all" finds every one, "none" finds none and marks a false point in each.
    # Wilcoxon's signed-rank test of twelve differences, all of one sign: p = 2 / 2^12.
    ids = [f"{number:02}" for number in range(12)]
    write(Path(), "cohort", "id\n" + "".join(f"{each}\n" for each in ids))
    write(Path(), "truth", "id,y,x\n" + "".join(f"{each},5,5\n" for each in ids))
    for name, place in (("all", 5), ("same", 6), ("none", 30)):
        write(Path(), name, "id,y,x,score\n" + "".join(f"{each},{place},5,.5\n" for each in ids))
    tests = compared(names="all same none")["tests"]
    for measure in ("sensitivity", "fp_avg", "fn_avg"):
        assert tests[measure]["p"][0] == [None, 1, pytest.approx(2 / 2**12)]
        # Holm: the two small p-values of three, times 3 and 2, and never falling.
        assert tests[measure]["p_holm"][2] == [pytest.approx(6 / 2**12), pytest.approx(6 / 2**12), None]
        assert tests[measure]["marked"] == [True, True, False]
    # p-values of 2 / 2^12 = 0.00049 and 3 times that, 0.0015.
    arguments = ["all=all.csv", "same=same.csv", "none=none.csv", "--truth", "truth.csv", "--cohort", "cohort.csv"]
    printed = run("compare", *arguments, *RADIUS, "--format", "markdown").stdout
    assert "| all - none | <0.001 (0.003) | <0.001 (0.001) | <0.001 (0.001) | <0.001 (0.001) |" in printed
    assert "| all - same | 1.000 (1.000) | 1.000 (1.000) | 1.000 (1.000) | 1.000 (1.000) |" in printed
    # No resample of the difference is as far from it as it is from 0; between equal methods all are.
    assert tests["fauc"]["p"][0] == [None, 1, pytest.approx(1 / 1001)]


def test_counts_by_name():
    for name in ("found", "perfect"):
        write(Path(), f"counts_{name}", COUNTS)
    named = [f"{name}=counts_{name}.csv" for name in ("found", "perfect")]
    found = compared("--counts", named[0], "--counts", named[1], names="found perfect")
    assert found["methods"]["found"]["fp_avg"] == 0
    assert found["methods"]["perfect"]["conventions"]["operating_point"] == "count"


def test_tables_in_every_form():
    arguments = ["compare", "grad_cam=found.csv", "50%=blind.csv", "--truth", "truth.csv", "--cohort", "cohort.csv"]
    arguments = [*arguments, *RADIUS, "--resamples", 0]
    text = run(*arguments).stdout
    assert any(line.split() == ["grad_cam", "*58.3", "*75.0", "*1.00", "*0.33"] for line in text.splitlines())
    markdown = run(*arguments, "--format", "markdown").stdout
    assert "| method | FAUC 0-2 (%) | sensitivity (%) | false positives an image | missed an image |" in markdown
    assert "| grad_cam | **58.3** | **75.0** | **1.00** | **0.33** |" in markdown
    latex = run(*arguments, "--format", "latex").stdout
    assert r"grad\_cam & \textbf{58.3} & \textbf{75.0} & \textbf{1.00} & \textbf{0.33} \\" in latex
    assert r"grad\_cam - 50\% & - & " in latex
    assert "58.3 (" in run(*arguments, "--resamples", 50).stdout


@pytest.mark.filterwarnings("default:one subject alone:RuntimeWarning")
def test_without_a_test_the_best_alone_is_marked():
    arguments = ["compare", "found=found.csv", "blind=blind.csv", "--truth", "truth.csv", "--cohort", "cohort.csv"]
    # c, all that there is of the second subject, has no object, and so no sensitivity: of one subject no test.
    said = "not tested, so that the best alone is marked"
    assert f"{said}: FAUC 0-2 (%), sensitivity (%); matching" in run(*arguments, *RADIUS, "--resamples", 0).stdout
    assert f"{said}: sensitivity (%); matching" in run(*arguments, *RADIUS, "--resamples", 50).stdout
    write(Path(), "cohort", "id,subject\na,s\nb,s\nc,s\n")
    assert "warning: one subject alone" in run(*arguments, *RADIUS).stderr
    tests = compared(names="found blind")["tests"]
    assert tests["fauc"]["marked"] == tests["sensitivity"]["marked"] == [True, False]


def test_every_image_of_every_method_in_a_table():
    for name in ("found", "perfect"):
        write(Path(), f"counts_{name}", COUNTS)
    compared("--counts", "found=counts_found.csv", "--k", 1, "--per-image", "images.csv", "--resamples", 0)
    header, *rows = (line.split(",") for line in Path("images.csv").read_text().splitlines())
    assert header[:4] == ["method", "id", "subject", "objects"]
    assert [row[:2] for row in rows] == [[name, each] for name in ("found", "perfect", "blind") for each in "abc"]
    assert [bool(row[header.index("count_error")]) for row in rows] == [True] * 3 + [False] * 6  # one has counts


def test_a_curve_for_each_method_and_the_raters():
    found = compared("--figure", "froc", "--raters", "truth.csv", "perfect.csv", "--resamples", 20)
    drawn = Path("froc.svg").read_text()
    for label in ("found", "perfect", "blind", "perfect against truth", "truth against perfect"):
        assert f">{label}<" in drawn
    assert found["raters"]["kappa"] == 1
    assert json.loads(Path("result.json").read_text()) == found
