"""The command regions: from a table of scans to volumes and cohorts to train on."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image

from tests.data.heads import head
from tests.test_cli import fails, run
from tests.test_geometry import affine_of, turned
from weakspot.data.cohort import read_cohort
from weakspot.data.points import read_points
from weakspot.data.scans import read_scan, write_scan
from weakspot.geometry import carried, shifted, to_world

LABELS, VALUES, AFFINE = head()
OBLIQUE = affine_of(turned(5, 0) @ turned(-8, 2) @ np.diag([-1.0, 1, 1]), (20, -30, -10))
SIZE = ("--size", "31x33x13")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three heads, of which 007 lies otherwise in its scanner, and three that cannot be used."""
    rows = []
    for name, affine, counts in (("001", AFFINE, "2,0"), ("007", OBLIQUE, "0,5"), ("010", AFFINE, "1,")):
        write_scan(tmp_path / f"{name}_t2.nii.gz", VALUES, affine)
        write_scan(tmp_path / f"{name}_aseg.nii.gz", LABELS, affine)
        rows.append(f"{name},{name}_t2.nii.gz,{name}_aseg.nii.gz,train,s{name},{counts},,40")
    content = (tmp_path / "001_t2.nii.gz").read_bytes()
    (tmp_path / "cut_t2.nii.gz").write_bytes(content[:5000])
    (tmp_path / "gone_t2.nii.gz").symlink_to("nowhere.nii.gz")
    write_scan(tmp_path / "void_aseg.nii.gz", LABELS * 0, AFFINE)
    write_scan(tmp_path / "void_t2.nii.gz", VALUES, AFFINE)
    rows += [f"{name},{name}_t2.nii.gz,001_aseg.nii.gz,test,s{name},1,1,," for name in ("cut", "gone")]
    rows += ["void,void_t2.nii.gz,void_aseg.nii.gz,test,svoid,1,1,,"]
    header = "id,image,segmentation,split,subject,count_hippocampi,count_midbrain,slice_midbrain,age\n"
    (tmp_path / "scans.csv").write_text(header + "\n".join(rows) + "\n")
    return tmp_path


def test_a_cohort_of_scans(folder: Path):
    arguments = ["regions", folder / "scans.csv", "--region", "hippocampi", "--region", "midbrain", *SIZE]
    out = folder / "out"
    done = run(*arguments, "--out", out, code=1)
    assert "3 of 6 scans were left out" in done.stderr
    for name, reason in (("cut", "cut off"), ("gone", "leads to nowhere.nii.gz"), ("void", "no voxel of hippocampi")):
        assert any(f"id {name}: " in line and reason in line for line in done.stderr.splitlines())
    assert "differ in orientation (2 of RAS, 1 of LAS)" in done.stderr
    assert "midbrain: 1 of 3 volumes have no count (such as id 010), and train refuses" in done.stderr
    assert "hippocampi: 1 of 3" not in done.stderr

    table = pd.read_csv(out / "cohort_hippocampi.csv", dtype=str, keep_default_na=False)
    assert table["id"].tolist() == ["001_hippocampi", "007_hippocampi", "010_hippocampi"]
    assert table["count"].tolist() == ["2", "0", "1"]
    assert table["scan"].tolist() == ["001", "007", "010"]
    assert table["age"].tolist() == ["40", "40", "40"]
    assert table.loc[0, ["region", "subject", "split", "slice", "slice_axis"]].tolist() == [
        "hippocampi",
        "s001",
        "train",
        "",
        "k",
    ]
    assert table.loc[0, ["start_i", "start_j", "start_k", "size_i", "size_j", "size_k"]].tolist() == [
        *("5", "7", "5"),
        *("31", "33", "13"),
    ]
    both = pd.read_csv(out / "cohort.csv", dtype=str, keep_default_na=False)
    assert both["region"].tolist() == ["hippocampi"] * 3 + ["midbrain"] * 3
    assert both["count"].tolist() == ["2", "0", "1", "0", "5", ""]  # what nobody counted stays empty
    cohort = read_cohort(out / "cohort_hippocampi.csv")  # as train reads it
    assert cohort.counts.tolist() == [2, 0, 1]
    for path in cohort.paths:
        volume = read_scan(path)
        assert (volume.values.shape, volume.values.min(), volume.values.max()) == ((31, 33, 13), 0, 1)
    picture = np.asarray(Image.open(out / "pictures" / "007.png").convert("L"))
    assert picture.std() > 20


def test_done_once_and_gone_on_with(folder: Path):
    arguments = ["regions", folder / "scans.csv", "--region", "hippocampi", *SIZE, "--out", folder / "out"]
    arguments.append("--no-pictures")
    run(*arguments, code=1)
    files = [*folder.glob("out/*.nii.gz")]
    assert len(files) == 3
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}
    (folder / "out" / "007_hippocampi.nii.gz").write_bytes(b"")  # as a power cut may leave it
    write_scan(folder / "010_t2.nii.gz", VALUES[::-1], AFFINE)  # another scan under the old name
    assert "3 scans (1 were done before)" in run(*arguments, code=1).stdout
    for file, (time, content) in before.items():
        assert (file.stat().st_mtime_ns == time) == file.name.startswith("001")
        assert (file.read_bytes() == content) or file.name.startswith("010")
    assert (folder / "out" / "010_hippocampi.nii.gz").read_bytes() != before[folder / "out" / "010_hippocampi.nii.gz"][
        1
    ]
    assert "3 scans, 1 regions" in run(*arguments, "--smooth-mm", 2, code=1).stdout  # other settings: all anew
    for name, damaged in (("001", "{"), ("007", "{}"), ("010", "[]")):
        (folder / "out" / "records" / f"{name}.json").write_text(damaged)
        assert "3 scans (2 were done before)" in run(*arguments, "--smooth-mm", 2, code=1).stdout
    with FileLock(folder / "out" / ".lock"):
        assert "another process" in fails(*arguments)


def test_a_scan_that_memory_does_not_hold_stops_no_other(folder: Path, monkeypatch):
    from weakspot.data import region_files

    def read(path: Path, *rest: object):
        if path.name.startswith("007"):
            raise MemoryError("Unable to allocate 2.61 GiB")
        return read_scan(path, *rest)

    monkeypatch.setattr(region_files, "read_scan", read)
    done = run("regions", folder / "scans.csv", "--region", "hippocampi", *SIZE, "--out", folder / "out", code=1)
    assert "id 007: memory does not hold it (Unable to allocate 2.61 GiB)" in done.stderr
    assert len([*folder.glob("out/*.nii.gz")]) == 2


def test_points_go_into_the_volumes_and_back(folder: Path):
    rng = np.random.default_rng(0)
    rows = [
        (name, *place, region)
        for name in ("001", "007")
        for region, middle in (("hippocampi", (20, 23, 11)), ("midbrain", (20, 22, 7)))
        for place in np.round(middle + rng.uniform(-5, 5, (4, 3)), 2)
    ]
    rows.append(("001", 1, 1, 1, "midbrain"))  # in no volume
    points = pd.DataFrame(rows, columns=["id", "i", "j", "k", "region"])
    points.to_csv(folder / "points.csv", index=False)
    arguments = ["regions", folder / "scans.csv", "--region", "hippocampi", "--region", "midbrain", *SIZE]
    done = run(*arguments, "--out", folder / "out", "--points", folder / "points.csv", "--no-pictures", code=1)
    assert "midbrain: 1 points lie outside of the volumes" in done.stderr
    cohort = pd.read_csv(folder / "out" / "cohort.csv", dtype=str).set_index("id")
    for region in ("hippocampi", "midbrain"):
        inside = read_points(folder / "out" / f"points_{region}.csv")
        assert set(inside) == {f"001_{region}", f"007_{region}"}
        for name in ("001", "007"):
            native = points[(points["id"] == name) & (points["region"] == region)][["i", "j", "k"]].to_numpy()[:4]
            there = inside[f"{name}_{region}"]
            scan, volume = (
                read_scan(folder / f"{name}_t2.nii.gz"),
                read_scan(folder / "out" / f"{name}_{region}.nii.gz"),
            )
            # by the world, through the files' affines, and by whole voxels
            assert np.allclose(carried(there.coordinates, volume.affine, scan.affine), native, atol=1e-4)
            assert np.allclose(there.world_mm, to_world(native, scan.affine), atol=1e-4)
            start = cohort.loc[f"{name}_{region}", ["start_i", "start_j", "start_k"]].to_numpy(float)
            assert np.allclose(there.coordinates + start, native, atol=1e-9)
            assert np.allclose(carried(native, scan.affine, volume.affine), there.coordinates, atol=1e-4)


def test_a_region_that_the_field_of_view_cuts_off(folder: Path):
    write_scan(folder / "001_t2.nii.gz", VALUES[:, :, 11:], shifted(AFFINE, (0, 0, 11)))
    arguments = ["regions", folder / "scans.csv", "--region", "hippocampi", *SIZE, "--no-pictures"]
    said = run(*arguments, "--out", folder / "out", code=1).stderr
    assert "hippocampi: 1 of 3 scans show less than 90 % of the region (id 001: 60 %); the field of view" in said
    assert "volumes hold" not in said
    said = run(*arguments[:-2], "31x3x13", "--no-pictures", "--out", folder / "two", code=1).stderr
    assert "hippocampi: 3 of 3 volumes hold less than 90 % of the region (id 001: 43 %); a larger --size" in said


def test_one_scan(folder: Path):
    arguments = ["regions", folder / "001_t2.nii.gz", "--segmentation", folder / "001_aseg.nii.gz"]
    run(*arguments, "--region", "centrum_semiovale", "--size", "31x33x7mm", "--out", folder / "out", "--no-pictures")
    table = pd.read_csv(folder / "out" / "cohort.csv", dtype=str)
    assert table.loc[0, ["id", "slice", "slice_axis", "start_k"]].tolist() == [
        "001_t2_centrum_semiovale",
        "3",
        "k",
        "32",
    ]
    assert "count" not in table
    assert not (folder / "out" / "pictures").exists()
    record = json.loads((folder / "out" / "records" / "001_t2.json").read_text())
    assert record["regions"]["centrum_semiovale"]["size"] == [31, 33, 7]


def test_a_count_and_a_slice_of_the_one_region(folder: Path):
    text = "id,image,segmentation,count,slice\n001,001_t2.nii.gz,001_aseg.nii.gz,4,22\n"
    (folder / "one.csv").write_text(text)
    arguments = ["regions", folder / "one.csv", *SIZE, "--no-pictures", "--region", "basal_ganglia"]
    run(*arguments, "--out", folder / "out")
    table = pd.read_csv(folder / "out" / "cohort_basal_ganglia.csv", dtype=str)
    assert table.loc[0, ["count", "slice", "start_k"]].tolist() == ["4", "5", "17"]
    (folder / "one.csv").write_text(text.replace(",4,22", ",4.5,22"))
    run(*arguments, "--out", folder / "mean", "--scale", "tissue")  # the count is that of two raters
    one, other = (read_scan(folder / each / "001_basal_ganglia.nii.gz").values for each in ("out", "mean"))
    assert one.max() == 1
    below = (other > 0) & (other < 1)
    assert np.ptp(other[below] / one[below]) < 1e-4 < abs(other[below] / one[below] - 1).min()
    assert pd.read_csv(folder / "mean" / "cohort_basal_ganglia.csv")["count"].tolist() == [4.5]
    (folder / "one.csv").write_text(text.replace(",4,22", ",-4,22.5"))
    said = fails(*arguments, "--out", folder / "two")
    assert "count of basal_ganglia: '-4' is no number of objects; slice of basal_ganglia: '22.5' is no whole" in said
    said = fails(*arguments, "--region", "hippocampi", "--out", folder / "two")
    assert "whose is the column 'count', of basal_ganglia, hippocampi" in said
    (folder / "points.csv").write_text("id,i,j,k\n001,1,2,3\n")
    text = text.replace("count", "count_hippocampi").replace("slice", "slice_basal_ganglia")
    (folder / "one.csv").write_text(text)
    said = fails(*arguments, "--region", "hippocampi", "--points", folder / "points.csv", "--out", folder / "two")
    assert "add a column 'region'" in said


def test_points_of_no_scan_are_refused_before_anything_is_cut(folder: Path):
    arguments = ["regions", folder / "scans.csv", "--region", "hippocampi", *SIZE, "--no-pictures"]
    arguments += ["--points", folder / "points.csv", "--out", folder / "out"]
    rows = "id,i,j,k,region\n001,20,23,11,hippocampi\ncut,1,1,1,hippocampi\n7,1,1,1,midbrain\n"
    (folder / "points.csv").write_text(rows)
    run(*arguments, code=1)  # those of a scan that cannot be used are left out with it, others' are not looked at
    assert list(read_points(folder / "out" / "points_hippocampi.csv")) == ["001_hippocampi"]
    (folder / "points.csv").write_text(rows + "7,1,1,1,hippocampi\n010,1,1,1,hippocampus\n")
    for file in folder.glob("out/*"):
        if file.is_file():
            file.unlink()
    said = fails(*arguments)
    assert "id 7: no scan of the cohort, which has such as 001" in said
    assert "no region 'hippocampus': expected of midbrain" in said
    assert not list(folder.glob("out/*.nii.gz"))


def test_another_region_does_not_replace_those_before(folder: Path):
    arguments = ["regions", folder / "scans.csv", *SIZE, "--no-pictures", "--out", folder / "out"]
    run(*arguments, "--region", "hippocampi", code=1)
    before = (folder / "out" / "cohort.csv").read_bytes()
    said = fails(*arguments, "--region", "midbrain")
    assert "cohort.csv is of hippocampi, and would be replaced: name that --region too, or another folder" in said
    assert (folder / "out" / "cohort.csv").read_bytes() == before
    run(*arguments, "--region", "midbrain", "--region", "hippocampi", code=1)
    (folder / "out" / "cohort.csv").write_text("id,image\n")
    assert "cohort.csv is of no region, and would be replaced" in fails(*arguments, "--region", "midbrain")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["001_t2.nii.gz", "--region", "midbrain"], "expected one scan with its --segmentation"),
        (
            ["scans.csv", "--region", "midbrain", "--segmentation", "001_aseg.nii.gz"],
            "expected one scan with its --segmentation",
        ),
        (["scans.csv", "--region", "cerebellum"], "no region cerebellum: choose of midbrain"),
        (["scans.csv", "--region", "midbrain", "--size", "88x88"], "--size 88x88: expected such as"),
        (["scans.csv", "--region", "midbrain", "--size", "hippocampi=8x8x8"], "of a --region"),
        (["scans.csv", "--region", "midbrain", "--size", "8.5x8x8"], "voxels are whole"),
        (["scans.csv", "--region", "midbrain", "--size", "0x8x8"], "expected such as"),
        (["plain.csv", "--region", "midbrain"], "lacks the column segmentation"),
        (["bad.csv", "--region", "midbrain"], "3 problems"),
    ],
)
def test_what_is_refused_before_any_work(folder: Path, arguments: list[str], words: str):
    (folder / "plain.csv").write_text("id,image\na,001_t2.nii.gz\n")
    (folder / "bad.csv").write_text(
        "id,image,segmentation,count,slice\na/b,1.nii,2.nii,1,1\nb,1.nii,,1,1\nc,1.nii,2.nii,1.5,-3\n"
    )
    paths = [folder / each if each.endswith((".csv", ".nii.gz")) else each for each in arguments]
    assert words in fails("regions", *paths, "--out", folder / "out")
    assert not list(folder.glob("out/*.nii.gz"))


@pytest.mark.filterwarnings("default")
def test_a_scan_that_lies_nowhere(folder: Path):
    write_scan(folder / "001_t2.nii.gz", VALUES, None)
    said = fails(
        "regions", folder / "001_t2.nii.gz", "--segmentation", folder / "001_aseg.nii.gz", "--region", "midbrain",
        "--out", folder / "out",
    )  # fmt: skip
    assert "no sform, no qform" in said
    assert "set its sform" in said
