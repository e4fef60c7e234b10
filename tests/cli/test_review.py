"""``weakspot review``, and evaluation by what was marked on its page."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.cli.tables import COUNTS, FOUND, evaluated, write
from tests.report.test_review import Page
from tests.test_cli import fails, run
from weakspot.data.scans import write_scan

RADIUS = ("--radius-vox", 4, "--max-fp", 2, "--resamples", 0)


@pytest.fixture
def images(scene: Path) -> Path:
    """Give the scene that can be judged by hand, with images, and with what predict would have left."""
    for name in "abc":
        Image.fromarray(np.full((48, 52), 9, np.uint8)).save(scene / f"{name}.png")
    write(scene, "cohort", "id,image,subject,split\na,a.png,s1,test\nb,b.png,s1,test\nc,c.png,s2,val\n")
    (found := scene / "found").mkdir()
    write(found, "detections", FOUND)
    write(found, "counted", "id,y,x,score\na,10,13,.9\nb,10,10,.6\n")
    write(found, "counts", COUNTS)
    (found / "maps").mkdir()
    np.save(found / "maps" / "a.npy", np.ones((48, 52), np.float32))
    return scene


def save(page: Page, folder: Path) -> None:
    """Save the page's tables, as its buttons do."""
    for name in ("points", "images"):
        write(folder, name, page(f"{name}Table", page.log))


def test_what_was_marked_is_the_truth_of_an_evaluation(images: Path):
    done = run("review", "cohort.csv", "--found", "found", "--truth", "truth.csv", "--out", "page")
    assert "3 images: open page/index.html" in done.stdout
    page = Page(images / "page")
    assert page("objectsOf", [], 0) == [[10, 13]]
    assert page("objectsOf", [], 2) == []
    page.click(0, (20.5, 20.5))  # objects of truth.csv that were not counted
    page.click(0, (13.5, 10.5))
    page.click(0, (10.5, 10.5))
    page.done(0)
    page.done(1)
    save(page, images)
    marked = pd.read_csv("images.csv", dtype=str, keep_default_na=False)
    assert list(marked) == ["id", "image", "subject", "split", "count", "reviewed"]
    assert marked["image"].tolist() == [str(images / f"{name}.png") for name in "abc"]
    assert marked["count"].tolist() == ["2", "1", ""]

    reached = evaluated(*RADIUS, "--where", "split=test")
    by_page = ("evaluate", "found.csv", "points.csv", "--cohort", "images.csv", "--where", "reviewed=yes", *RADIUS)
    run(*by_page, "--json", "again.json")
    again = json.loads(Path("again.json").read_text())
    assert again["fauc"] == reached["fauc"]
    assert again["images"] == {"cohort": "images.csv", "split": None, "where": ["reviewed=yes"], "region": None}
    # Without image c one of the false positives is gone.
    assert evaluated(*RADIUS)["fauc"] != reached["fauc"]


def test_points_without_scores_stand_and_those_with_scores_wait(images: Path):
    run("review", "cohort.csv", "--found", "truth.csv", "--out", "marked")
    assert Page(images / "marked")("objectsOf", [], 0) == [[10, 10], [20, 20]]
    write(images, "shuffled", "id,y,x,score\na,1,1,.1\na,2,2,.3\n")
    run("review", "cohort.csv", "--found", "shuffled.csv", "--out", "waiting")
    page = Page(images / "waiting")
    assert page("objectsOf", [], 0) == []
    assert page.engine.eval("JSON.stringify(data.images[0].points)") == "[[2,2],[1,1]]"


def test_only_a_split_and_images_without_points(images: Path):
    run("review", "cohort.csv", "--split", "val", "--found", "found", "--out", "one")
    assert Page(images / "one").engine.eval("JSON.stringify(data.images.map((each) => each.id))") == '["c"]'
    run("review", "a.png", "b.png", "--out", "alone")
    page = Page(images / "alone")
    page.click(1, (3.5, 4.5))
    assert page("objectsOf", page.log, 1) == [[4, 3]]


def test_scans_begin_with_the_annotated_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        write_scan(tmp_path / f"{name}.nii.gz", np.ones((6, 7, 8), np.float32), np.diag([1.0, 1, 2, 1]))
    write(tmp_path, "cohort", "id,image,slice\na,a.nii.gz,2\nb,b.nii.gz,\n")
    run("review", "cohort.csv", "--slice-axis", "j", "--out", "page")
    page = Page(tmp_path / "page")
    assert page.engine.eval("JSON.stringify(data.images.map((each) => [each.start, each.view.cut]))") == "[[2,1],[3,1]]"


def test_slices_are_those_that_peaks_were_sought_in(images: Path):
    write_scan(images / "s.nii.gz", np.ones((6, 7, 8), np.float32), np.diag([1.0, 1, 2, 1]))
    write(images, "scans", "id,image,slice\ns,s.nii.gz,4\n")
    (found := images / "sought").mkdir()
    write(found, "detections", "id,i,j,k,score\ns,1,2,3,1\n")
    write(found, "counts", "id,count\ns,1\n")
    (found / "predict.json").write_text('{"slice_axis": 1}')
    run("review", "scans.csv", "--found", "sought", "--out", "page")
    page = Page(images / "page")
    assert page.engine.eval("[data.images[0].start, data.images[0].view.cut].join()") == "4,1"


def test_one_bad_image_stops_no_other(images: Path):
    (images / "b.png").write_bytes(b"no picture")
    np.save(images / "found" / "maps" / "a.npy", np.full((48, 52), np.nan))
    said = fails("review", "cohort.csv", "--found", "found", "--out", "page")
    assert "id b" in said
    assert "id a" in said
    page = Page(images / "page")
    assert page.engine.eval("data.images.length") == 1
    page.click(0, (5.5, 5.5))
    page.done(0)
    save(page, images)
    # The images that are not on the page are known to the tables that it saves.
    by_page = ("evaluate", "found.csv", "points.csv", "--cohort", "images.csv", "--where", "reviewed=yes", *RADIUS)
    assert "FAUC" in run(*by_page).stdout


def test_without_a_single_image_nothing_is_written(images: Path):
    for name in "abc":
        (images / f"{name}.png").write_bytes(b"no picture")
    assert "3 of 3 images" in fails("review", "cohort.csv", "--out", "page")
    assert not (images / "page").exists()


def test_what_was_only_noticed_waits(images: Path):
    """After classification nothing is counted, and the count is a probability."""
    (images / "found" / "counted.csv").unlink()
    write(images / "found", "counts", "id,count\na,0.93\nc,0.1\n")
    run("review", "cohort.csv", "--found", "found", "--out", "page")
    page = Page(images / "page")
    assert page("objectsOf", [], 0) == []
    assert page.engine.eval("data.images.map((each) => each.counted).join()") == "0.93,nothing,0.1"


def test_points_and_maps_of_other_images_are_refused(images: Path):
    write(images, "far", "id,y,x\na,10,80\n")
    assert "outside" in fails("review", "cohort.csv", "--found", "far.csv", "--out", "page")
    np.save(images / "found" / "maps" / "a.npy", np.ones((4, 5), np.float32))
    assert "predict it again" in fails("review", "cohort.csv", "--found", "found", "--out", "other")
    write(images, "unknown", "id,y,x\nd,10,8\n")
    assert "id d" in fails("review", "cohort.csv", "--found", "unknown.csv", "--out", "nothing")
    write(images, "volumes", "id,i,j,k\na,1,1,1\n")
    assert "2D" in fails("review", "cohort.csv", "--found", "volumes.csv", "--out", "nothing")
    for rows in ("a,1,1,1\n", ""):
        write(images, "volumes", f"id,i,j,k\n{rows}")
        assert "2D" in fails("review", "cohort.csv", "--found", "found", "--truth", "volumes.csv", "--out", "nothing")
    assert "2D" in fails("review", "cohort.csv", "--found", "found", "--slice-axis", "k", "--out", "nothing")
    assert "2D" in fails("review", "cohort.csv", "--slice-axis", "k", "--out", "nothing")
    assert not (images / "nothing").exists()
    assert "exists already" in fails("review", "cohort.csv", "--out", "found")


def test_conditions_that_no_image_meets_are_refused(images: Path):
    judged = ("evaluate", "found.csv", "truth.csv", "--cohort", "cohort.csv", *RADIUS, "--where")
    assert "expected COLUMN=VALUE" in fails(*judged, "site")
    assert "no column 'site'" in fails(*judged, "site=B")
    assert "such as s1, s2" in fails(*judged, "subject=s3")


@pytest.mark.parametrize("command", ["compare", "agreement"])
def test_conditions_hold_together(images: Path, command: str):
    tables = ["found=found.csv", "--truth", "truth.csv"] if command == "compare" else ["truth.csv", "truth.csv"]
    if command == "compare":
        tables.insert(1, "again=found.csv")
    where = ("--where", "subject=s1", "--where", "id=a", "--json", "one.json")
    run(command, *tables, "--cohort", "cohort.csv", "--radius-vox", 4, "--resamples", 0, *where)
    result = json.loads(Path("one.json").read_text())
    assert result["images"]["where"] == ["subject=s1", "id=a"]
    number = result["methods"]["found"]["n_images"] if command == "compare" else result["n_images"]
    assert number == 1
