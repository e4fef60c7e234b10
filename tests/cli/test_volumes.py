"""Training and prediction on volumes: scans in, voxel indices and world mm out."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.test_cli import fails, run
from tests.test_geometry import AFFINES
from weakspot.data.cohort import CohortWarning, cohort_of_images
from weakspot.data.images import load_images, read_image
from weakspot.data.points import read_points
from weakspot.data.scans import read_scan, write_scan
from weakspot.detection import candidates
from weakspot.evaluation.operating_point import whole_counts
from weakspot.geometry import spacing_of, to_voxel, to_world
from weakspot.predict import predict
from weakspot.training.run import load

QUICK = ["--steps", "4", "--batch-size", "4", "--width", "2", "--threads", "1"]
AFFINE = AFFINES["oblique"]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve scans of different sizes with 0 to 2 bright balls."""
    folder = tmp_path_factory.mktemp("volumes")
    rng = np.random.default_rng(0)
    lines = ["id,image,count,split"]
    for number in range(12):
        values = rng.integers(50, 400, (12 + number % 2, 11, 9)).astype(np.int16)
        for ball in range(number % 3):
            values[4 * ball + 1 : 4 * ball + 4, 3:6, 3:6] = 3000
        write_scan(folder / f"{number:03d}.nii.gz", values, AFFINE)
        lines.append(f"{number:03d},{number:03d}.nii.gz,{number % 3},{'test' if number > 8 else 'train'}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def trained(cohort: Path) -> Path:
    run("train", cohort / "cohort.csv", "--out", cohort / "run", *QUICK)
    return cohort / "run"


def test_from_scans_to_world_coordinates(cohort: Path, trained: Path):
    out = cohort / "found"
    options = ["--split", "test", "--maps", "--no-centre", "--threads", 1]
    run("predict", trained, cohort / "cohort.csv", "--out", out, *options)
    found = pd.read_csv(out / "detections.csv", dtype={"id": str})
    assert list(found) == ["id", "i", "j", "k", "x_mm", "y_mm", "z_mm", "score"]
    assert set(found["id"]) == {"009", "010", "011"}
    index, world = found[["i", "j", "k"]].to_numpy(float), found[["x_mm", "y_mm", "z_mm"]].to_numpy()
    assert np.allclose(world, to_world(index, AFFINE), atol=1e-4)
    assert np.allclose(to_voxel(world, AFFINE), index, atol=1e-4)
    for name, rows in found.groupby("id"):
        attention = read_scan(out / "maps" / f"{name}.nii.gz")
        assert attention.values.shape == read_scan(cohort / f"{name}.nii.gz").values.shape
        assert np.allclose(attention.affine, AFFINE, atol=1e-4)
        at = attention.values[tuple(rows[["i", "j", "k"]].to_numpy(int).T)]
        assert np.array_equal(at, rows["score"].to_numpy(np.float32))


@pytest.mark.filterwarnings("ignore::weakspot.data.scan_files.ScanWarning")
def test_the_maximum_filter_in_mm_is_rounded_to_voxels_by_each_scans_spacing(
    cohort: Path, trained: Path, tmp_path: Path
):
    arguments = ["predict", trained, cohort / "cohort.csv", "--split", "test", "--threads", 1]
    cubic = tmp_path / "cubic.nii.gz"
    write_scan(cubic, read_scan(cohort / "009.nii.gz").values, np.diag([1.0, 1.0, 1.0, 1.0]))
    tables = []
    for options in (["--size", 3], ["--size-mm", 3], ["--size", 12]):
        run("predict", trained, cubic, "--threads", 1, "--out", out := tmp_path / "_".join(map(str, options)), *options)
        tables.append((out / "detections.csv").read_text())
    assert tables[0] == tables[1] != tables[2]
    run(*arguments, "--out", tmp_path / "mm", "--size-mm", 3)
    trained_run, size = load(trained), np.maximum(np.floor(3 / spacing_of(AFFINE) + 0.5), 1)
    assert len(set(size)) > 1
    for name, found in read_points(tmp_path / "mm" / "detections.csv").items():
        image, displaced = [read_image(cohort / f"{name}.nii.gz")], trained_run.displaced_vox
        [prediction] = predict(trained_run, image, size=size, displaced_vox=displaced)
        assert np.array_equal(found.coordinates, prediction.candidates.points)
    write_scan(tmp_path / "nowhere.nii.gz", read_scan(cohort / "002.nii.gz").values, None)
    said = fails("predict", trained, tmp_path / "nowhere.nii.gz", "--size-mm", 3, "--out", tmp_path / "out")
    assert "no known size in mm" in said


def test_peaks_are_sought_in_the_annotated_slice_alone(cohort: Path, trained: Path, tmp_path: Path):
    lines = [
        "id,image,slice",
        f"a,{cohort / '009.nii.gz'},2",
        f"b,{cohort / '010.nii.gz'},",
        f"c,{cohort / '009.nii.gz'},9",
    ]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    arguments = ["predict", trained, tmp_path / "table.csv", "--no-centre", "--threads", 1]
    arguments += ["--slice-axis", "k", "--score", "mass"]
    said = run(*arguments, "--out", tmp_path / "out", code=1).stderr
    assert "id c: slice 9: expected a whole number from 0 to 8" in said
    found, counted = (read_points(tmp_path / "out" / f"{name}.csv") for name in ("detections", "counted"))
    for name, number, index in (("a", "009", 2), ("b", "010", 4)):
        [whole] = predict(load(trained), [read_image(cohort / f"{number}.nii.gz")])
        first = found[name].first(int(whole_counts(whole.count)))
        assert len(first)
        kept = counted.get(name, counted.none)
        assert np.array_equal(kept.coordinates, first.coordinates)
        assert np.array_equal(kept.world_mm, first.world_mm)
        flat = candidates(whole.attention[..., index], score="mass")
        assert set(found[name].coordinates[:, 2]) == {index}
        assert np.array_equal(found[name].coordinates[:, :2], flat.points)
        # A share of the count of the whole volume, whose training images had 13x11x9 voxels.
        assert np.allclose(
            found[name].scores, flat.scores * whole.attention[..., index].size / (13 * 11 * 9), rtol=1e-4
        )
    arguments[-1] = "prominence"
    run(*arguments, "--out", tmp_path / "prominent", code=1)
    found = read_points(tmp_path / "prominent" / "detections.csv")
    assert np.allclose(found["b"].scores, candidates(whole.attention[..., 4], score="prominence").scores, rtol=1e-4)
    (tmp_path / "table.csv").write_text("\n".join(lines).replace(",2", ",two"))
    assert "row 2 (id a): 'two' is no number" in fails(*arguments, "--out", tmp_path / "none")
    (tmp_path / "table.csv").write_text("\n".join((f"{lines[0]},slice_axis", f"{lines[1]},k", f"{lines[2]},j")))
    assert "row 3 (id b): its slice is across j" in fails(*arguments, "--out", tmp_path / "none")
    assert "expected i, j, k" in fails(*arguments[:-4], "--slice-axis", "y", "--out", tmp_path / "none")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".gz"  # whose header has the time
    }


def test_workers_find_what_one_process_finds_whatever_is_wrong_with_one_scan(
    cohort: Path, trained: Path, tmp_path: Path
):
    (tmp_path / "bad.nii.gz").write_bytes(b"no scan")
    files = [cohort / "009.nii.gz", tmp_path / "bad.nii.gz", cohort / "010.nii.gz", cohort / "001.nii.gz"]
    arguments = ["predict", trained, *files, "--threads", 1, "--maps"]
    said = [
        run(*arguments, *options, "--out", tmp_path / name, code=1).stderr
        for name, options in (("here", []), ("workers", ["--workers", 2]))
    ]
    for each in said:
        assert "1 of 4 images were left out: id bad" in each
    assert contents(tmp_path / "here") == contents(tmp_path / "workers")
    assert "counted.csv" in contents(tmp_path / "here")
    for name in ("009", "010", "001"):
        one, two = (read_scan(tmp_path / each / "maps" / f"{name}.nii.gz").values for each in ("here", "workers"))
        assert np.array_equal(one, two)
    assert "no Dask scheduler" in fails(*arguments, "--scheduler", "tcp://127.0.0.1:1", "--out", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_what_workers_are_warned_of_is_told_in_clean_lines(cohort: Path, trained: Path, tmp_path: Path):
    write_scan(tmp_path / "nowhere.nii.gz", read_scan(cohort / "002.nii.gz").values, None)
    arguments = ["predict", trained, tmp_path / "nowhere.nii.gz", "--threads", 1, "--workers", 1]
    done = subprocess.run(
        [sys.executable, "-m", "weakspot", *map(str, arguments), "--out", tmp_path / "doubt"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if "nowhere" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"warning: {tmp_path / 'nowhere.nii.gz'}: its header says neither spacing")
    assert "ScanWarning" not in done.stderr


@pytest.mark.filterwarnings("default")
def test_scans_that_cannot_be_used_do_not_stop_the_others(cohort: Path, trained: Path, tmp_path: Path):
    values = np.ones((12, 11, 9), np.float32)
    write_scan(tmp_path / "nan.nii.gz", np.where(np.eye(11, 9) > 0, np.nan, values), AFFINE)
    write_scan(tmp_path / "four.nii.gz", np.stack([values, values], 3), AFFINE)
    write_scan(tmp_path / "nowhere.nii.gz", read_scan(cohort / "002.nii.gz").values, None)
    write_scan(tmp_path / "small.nii.gz", np.arange(6.0).reshape(1, 2, 3), AFFINE)  # padded as far as it must be
    write_scan(tmp_path / "constant.nii.gz", 7 * values, AFFINE)
    names = ["nan", "four", "nowhere", "small", "constant", "gone"]
    lines = ["id,image", *(f"{name},{name}.nii.gz" for name in names), f"002,{cohort / '002.nii.gz'}"]
    (tmp_path / "new.csv").write_text("\n".join(lines) + "\n")
    arguments = ["predict", trained, tmp_path / "new.csv", "--threads", 1]
    done = run(*arguments, "--out", tmp_path / "out", code=1)
    assert "3 of 7 images were left out" in done.stderr
    for name, reason in (("nan", "108 of its 1188 voxels"), ("four", "--volume, 0 to 1"), ("gone", "no such file")):
        assert any(f"id {name}: " in line and reason in line for line in done.stderr.splitlines()), done.stderr
    counts = pd.read_csv(tmp_path / "out" / "counts.csv", dtype={"id": str}).set_index("id")["count"]
    assert counts.index.tolist() == ["nowhere", "small", "constant", "002"]
    assert np.isfinite(counts).all()
    assert counts["nowhere"] == counts["002"]
    found = read_points(tmp_path / "out" / "detections.csv")  # without a position: cells that are empty
    assert np.isnan(found["nowhere"].world_mm).all()
    assert np.isfinite(found["002"].world_mm).all()
    run(*arguments, "--out", tmp_path / "all", "--volume", 0, "--nonfinite", "zero", code=1)
    counts = pd.read_csv(tmp_path / "all" / "counts.csv", dtype={"id": str}, keep_default_na=False)
    assert counts["id"].tolist() == ["nan", "four", "nowhere", "small", "constant", "002"]


@pytest.mark.parametrize("where", ["weakspot.training.run.scaled", "weakspot.predict.candidates_in"])
def test_a_scan_that_memory_does_not_hold_stops_no_other(
    cohort: Path, trained: Path, tmp_path: Path, monkeypatch, where: str
):
    from importlib import import_module

    module, name = where.rsplit(".", 1)
    usual, calls = getattr(import_module(module), name), 0

    def second_fails(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise MemoryError("Unable to allocate 2.61 GiB")
        return usual(*arguments, **options)

    monkeypatch.setattr(where, second_fails)
    scans = [cohort / f"00{number}.nii.gz" for number in range(3)]
    done = run("predict", trained, *scans, "--out", tmp_path / "out", "--threads", 1, code=1)
    assert "1 of 3 images were left out: id 001: " in done.stderr
    assert "memory" in done.stderr
    assert pd.read_csv(tmp_path / "out" / "counts.csv", dtype={"id": str})["id"].tolist() == ["000", "002"]


def test_grids_that_differ_are_told_of_predictions(trained: Path, cohort: Path, tmp_path: Path):
    values = read_scan(cohort / "002.nii.gz").values
    for name in ("isotropic", "anisotropic"):
        write_scan(tmp_path / f"{name}.nii.gz", values, AFFINES[name])
    scans = sorted(tmp_path.glob("*.nii.gz"))
    done = run("predict", trained, *scans, "--out", tmp_path / "out", "--threads", 1, "--tile", 40)
    assert "warning: the scans differ in spacing" in done.stderr
    assert "tiles" not in done.stdout  # larger than the scans: whole
    assert "differ" not in run("predict", trained, scans[0], "--out", tmp_path / "one", "--threads", 1).stderr


def test_images_of_other_dimensions_are_refused(cohort: Path, trained: Path, tmp_path: Path):
    np.save(tmp_path / "flat.npy", np.zeros((12, 11), np.float32))
    assert "2D" in fails("predict", trained, tmp_path / "flat.npy", "--out", tmp_path / "out")


def test_grids_that_differ_are_told(tmp_path: Path):
    values = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    for name in ("isotropic", "left-handed", "anisotropic"):
        write_scan(tmp_path / f"{name}.nii.gz", values, AFFINES[name])
    alike = cohort_of_images([tmp_path / "isotropic.nii.gz"] * 1)
    assert len(load_images(alike)) == 1
    with pytest.warns(CohortWarning, match=r"spacing \(2 of 0.49x0.49x0.8 mm, 1 of 1x1x1 mm\) and orientation"):
        load_images(cohort_of_images(sorted(tmp_path.glob("*.nii.gz"))))
    assert read_image(tmp_path / "isotropic.nii.gz").shape == (1, 3, 3, 3)
