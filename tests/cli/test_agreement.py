"""``weakspot agreement`` on scenes judged by hand."""

from pathlib import Path

import pytest

from tests.cli.tables import result, write
from tests.test_cli import fails, run

ARGUMENTS = ["agreement", "truth.csv", "second.csv", "--cohort", "cohort.csv"]


@pytest.fixture(autouse=True)
def second(scene: Path) -> None:
    """Add a second rater, who lacks one point of a, and has one in c."""
    write(scene, "second", "id,y,x\na,10,12\nb,10,10\nc,5,5\n")


def test_every_figure_by_hand():
    found = result(*ARGUMENTS, "--radius-vox", 4)
    first, other = found["first_as_reference"], found["second_as_reference"]
    assert (first["sensitivity"], first["fp_avg"]) == pytest.approx(((1 / 2 + 1) / 2, 1 / 3))
    assert (other["sensitivity"], other["fp_avg"]) == pytest.approx(((1 + 1 + 0) / 3, 1 / 3))
    # Any object: yes, yes, no against yes, yes, yes: two of three agree, and so they would by chance.
    assert found["kappa"] == pytest.approx(0)
    # Counts 2, 1, 0 against 1, 1, 1: as much spread within images as between them.
    assert found["icc"] == pytest.approx(0)
    assert (found["n_images"], found["n_subjects"], found["n_first"], found["n_second"]) == (3, 2, 3, 3)
    assert found["conventions"]["operating_point"] == "all"


def test_reach_and_slices():
    assert result(*ARGUMENTS, "--radius-vox", 1)["first_as_reference"]["sensitivity"] == 0.5
    write(Path(), "cohort", "id,spacing_y,spacing_x\na,3,.5\nb,1,1\nc,1,1\n")
    assert result(*ARGUMENTS, "--radius-mm", 1)["first_as_reference"]["sensitivity"] == 0.75
    write(Path(), "cohort", "id,slice,size_i,size_j,size_k\na,1,4,4,4\nb,1,4,4,4\n")
    write(Path(), "truth", "id,i,j,k\na,1,2,2\na,1,0,0\na,3,3,3\n")
    write(Path(), "second", "id,i,j,k\na,1,2,3\na,0,0,0\n")
    found = result(*ARGUMENTS, "--radius-vox", 1, "--slice-axis", "i")
    assert (found["n_first"], found["n_second"], found["first_as_reference"]["sensitivity"]) == (2, 1, 0.5)


def test_regions_are_judged_one_at_a_time(scene: Path):
    write(scene, "cohort", "id,slice_left,size_i,size_j,size_k\na,3,8,8,8\nb,5,8,8,8\n")
    write(scene, "truth", "id,i,j,k,region\na,1,1,3,left\na,2,2,4,right\nb,1,1,5,left\n")
    write(scene, "second", "id,i,j,k,region\na,1,1,3,left\na,1,1,3,right\n")
    arguments = [*ARGUMENTS, "--radius-vox", 0.5]
    said = fails(*arguments)
    assert "points and images of several regions: name one of them by --region" in said
    assert "truth.csv has left, right" in said
    left, right = (result(*arguments, "--region", name) for name in ("left", "right"))
    assert (left["n_first"], left["n_second"], left["first_as_reference"]["sensitivity"]) == (2, 1, 0.5)
    assert (right["n_first"], right["n_second"], right["first_as_reference"]["sensitivity"]) == (1, 1, 0)
    assert "no table has the region 'up'; they have left, right" in fails(*arguments, "--region", "up")
    # The region's own slice, not the middle one, which is 4.
    assert result(*arguments, "--region", "left", "--slice-axis", "k")["n_first"] == 2
    write(scene, "second", "id,i,j,k\na,1,1,3\n")  # of one region alone, which it does not name
    assert result(*arguments, "--region", "left")["n_second"] == 1
    write(scene, "truth", "id,i,j,k\na_left,1,1,3\n")
    write(scene, "second", "id,i,j,k\na_left,1,1,3\n")
    write(scene, "cohort", "id,region\na_left,left\na_right,right\nb_left,left\n")
    assert "cohort.csv has left, right" in fails(*arguments)  # volumes of the other would count as empty
    assert result(*arguments, "--region", "left")["n_images"] == 2
    write(scene, "cohort", "id\na_left\n")
    assert "no table has the region 'left': they have no column 'region'" in fails(*arguments, "--region", "left")


def test_tables_in_every_form():
    arguments = [*ARGUMENTS, "--radius-vox", 4, "--resamples", 0]
    text = run(*arguments).stdout
    assert "3 images, of 2 subjects; truth: 3 points, second: 3" in text
    assert "max_fp" not in text
    markdown = run(*arguments, "--format", "markdown").stdout
    assert "| 95 % interval over subjects | second against truth | truth against second |" in markdown
    assert "| sensitivity (%) | 75.0 | 66.7 |" in markdown
    assert r"sensitivity (\%) & 75.0 & 66.7 \\" in run(*arguments, "--format", "latex").stdout


def test_tables_of_one_name_go_by_their_paths(scene: Path):
    for folder in ("one", "two"):
        (scene / folder).mkdir()
        write(scene / folder, "points", "id,y,x\na,1,1\n")
    said = run("agreement", "one/points.csv", "two/points.csv", "--cohort", "cohort.csv", "--radius-vox", 1).stdout
    assert "two/points.csv against one/points.csv" in said
