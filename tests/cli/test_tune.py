"""What counts tell of seeking: kept beside the run, and followed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.test_cli import fails, run
from tests.test_geometry import AFFINES
from weakspot.data.scans import write_scan
from weakspot.detection import candidates
from weakspot.detection.smoothing import sigmas_for, smoothing_by_counts
from weakspot.errors import InputError
from weakspot.predict_files import File, FileSettings, predict_files
from weakspot.training.run import load
from weakspot.tuning import Sought, Tuned, scores_at, tune, tuned_by

QUICK = ["--steps", 60, "--batch-size", 8, "--width", 2, "--threads", 1]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 images of 0 to 3 bright squares on noise, the last ones smaller, 12 of each split."""
    folder, rng, rows = tmp_path_factory.mktemp("tuned"), np.random.default_rng(0), []
    for index in range(36):
        pixels = rng.integers(0, 40, (48 - 8 * (index % 4 == 3), 32), dtype=np.uint8)
        for place in rng.permutation(8)[: index % 4]:
            y, x = 4 + 8 * (place // 2), 8 + 16 * (place % 2)
            pixels[y - 1 : y + 2, x - 1 : x + 2] = 250
        Image.fromarray(pixels).save(folder / f"{index:03d}.png")
        rows.append((f"{index:03d}", f"{index:03d}.png", index % 4, ("train", "val", "test")[index // 12]))
    pd.DataFrame(rows, columns=["id", "image", "count", "split"]).to_csv(folder / "cohort.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def trained(cohort: Path) -> Path:
    said = run("train", cohort / "cohort.csv", "--out", cohort / "run", *QUICK).stdout
    assert "tuned by 12 images" in said
    return cohort / "run"


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def told(folder: Path) -> list[dict[str, object]]:
    return json.loads((folder / "tuned.json").read_text())["tuned"]


def test_train_tunes_by_the_images_that_it_validates_on(cohort: Path, copied: Path):
    first = told(copied)
    (copied / "tuned.json").unlink()
    table = pd.read_csv(cohort / "cohort.csv", dtype=str).drop(columns="split")
    table.to_csv(cohort / "no_splits.csv", index=False)
    run("tune", copied, cohort / "no_splits.csv", "--threads", 1)  # by those that it was validated on
    assert told(copied) == first
    run("tune", copied, cohort / "cohort.csv", "--threads", 1, "--split", "test")
    assert told(copied) != first
    (copied / "tuned.json").unlink()
    arguments = ["train", cohort / "cohort.csv", "--out", copied, *QUICK, "--resume"]
    assert "tuned by 12" in run(*arguments).stdout  # what was interrupted after the network was trained
    assert told(copied) == first
    assert "tuned" not in run(*arguments).stdout


def test_what_is_told_is_that_of_the_maps_that_predict_writes(cohort: Path, copied: Path, tmp_path: Path):
    table = pd.read_csv(cohort / "cohort.csv", dtype={"id": str}).query("split == 'val'")
    plain = ["--split", "val", "--smooth", 0, "--count-by", "network", "--maps", "--threads", 1]
    run("predict", copied, cohort / "cohort.csv", "--out", tmp_path / "plain", *plain)
    maps = [np.load(tmp_path / "plain" / "maps" / f"{name}.npy") for name in table["id"]]
    scores = {sigma: [candidates(each, smooth=sigma).scores for each in maps] for sigma in sigmas_for(48)}
    expected = smoothing_by_counts(scores, table["count"])
    [found] = told(copied)
    assert found["sought"] == {"method": "cam", "size": 6, "unit": "voxels", "slice_axis": None}
    assert found["images"] == 12
    assert found["sigma_vox"] == expected.sigma_vox
    assert found["threshold"] == pytest.approx(expected.threshold, rel=1e-4)
    outputs = pd.read_csv(tmp_path / "plain" / "counts.csv")
    assert list(outputs) == ["id", "count"]
    network = np.abs(np.maximum(np.floor(outputs["count"] + 0.5), 0).to_numpy() - table["count"].to_numpy())
    assert found["network_count_error"] == pytest.approx(network.mean())


def test_the_better_count_is_chosen_by_square_roots():
    """Of 20 images with one object each, but for one with many; two candidates each, the second a faint one."""
    faint = [[np.array([0.9, 0.1])]] * 19
    many = [np.concatenate([np.full(60, 0.9), np.full(40, 0.1)])]
    counts = [*[1] * 19, 100]

    def told(outputs: list[int]) -> Tuned:
        return tuned_by((0.0,), [*faint, many], counts, outputs, Sought("cam"))

    exact, wrong = told(counts), told([*[2] * 19, 100])
    assert exact.threshold == pytest.approx(0.5)
    assert (exact.by_threshold, exact.network_count_error) == (False, 0)
    # The threshold is 40 off in one image and right in 19, the network one off in each of these.
    assert wrong.by_threshold
    assert (wrong.count_error, wrong.network_count_error) == (2, 0.95)
    nothing = tuned_by((0.0,), [[np.zeros(0)]] * 12, [1] * 12, [3] * 12, Sought("cam"))
    assert (nothing.threshold, nothing.by_threshold, nothing.count_error) == (None, False, 1)


def test_predict_follows_what_was_told(cohort: Path, copied: Path, tmp_path: Path):
    predict = ["predict", copied, cohort / "cohort.csv", "--threads", 1, "--split", "test", "--no-centre"]
    run(*predict, "--out", tmp_path / "plain", "--maps", "--smooth", 0, "--count-by", "network")
    plain = pd.read_csv(tmp_path / "plain" / "counts.csv", dtype={"id": str})
    maps = [np.load(tmp_path / "plain" / "maps" / f"{name}.npy") for name in plain["id"]]
    smoothed = [candidates(each, smooth=1.5) for each in maps]
    threshold = float(np.median(np.concatenate([each.scores for each in smoothed])))
    [begun] = told(copied)

    def keep(*tuned: dict[str, object]) -> None:
        described = {"format": 1, "weakspot": "0", "tuned": [{**begun, **each} for each in tuned]}
        (copied / "tuned.json").write_text(json.dumps(described))

    def follow(*options: object) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, object], str]:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        said = run(*predict, "--out", tmp_path / "out", *options).stdout
        tables = (pd.read_csv(tmp_path / "out" / f"{name}.csv", dtype={"id": str}) for name in ("counts", "counted"))
        return *tables, json.loads((tmp_path / "out" / "predict.json").read_text()), said

    own = {"sigma_vox": 1.5, "threshold": threshold, "by_threshold": True}
    keep({**own, "sigma_vox": 3, "sought": {**begun["sought"], "size": 5}}, own)
    counts, kept, described, said = follow("--workers", 1)
    assert "smoothed by 1.5 voxels" in said
    assert (described["smoothed_vox"], described["counted_by"], described["threshold"]) == (1.5, "threshold", threshold)
    assert counts["count"].tolist() == [np.count_nonzero(each.scores > threshold) for each in smoothed]
    assert counts["network_count"].tolist() == plain["count"].tolist()
    for name, each in zip(plain["id"], smoothed, strict=True):
        above = each.points[each.scores > threshold]
        assert kept.loc[kept["id"] == name, ["y", "x"]].to_numpy().tolist() == above.tolist()
    assert follow("--size", 5)[2]["smoothed_vox"] == 3

    for options, smooth, by, message in (
        (["--count-by", "network"], 1.5, "network", "smoothed by 1.5 voxels"),
        (["--smooth", 1.5], 1.5, "threshold", "a score above"),
        (["--smooth", 1], 1, "network", "counts are the network's"),
        (["--size", 4], 0, "network", "was tuned for cam maps and a maximum filter of 5 voxels; or cam maps"),
        (["--method", "grad"], 0, "network", "was tuned for"),
        (["--score", "prominence"], 0, "network", ""),
    ):
        counts, _, described, said = follow(*options)
        assert (described["smoothed_vox"], described["counted_by"]) == (smooth, by), options
        assert message in said
        if by == "network":
            assert counts["count"].tolist() == plain["count"].tolist()
    never = [*predict, "--out", tmp_path / "never", "--count-by", "threshold"]
    assert "of maps smoothed by 1.5: leave --smooth out" in fails(*never, "--smooth", 1)
    assert "is known for cam maps and a maximum filter of 4 voxels" in fails(*never, "--size", 4)
    assert "by score mass" in fails(*never, "--score", "mass")

    keep({**own, "by_threshold": False})
    assert follow()[2]["counted_by"] == "network"
    assert follow("--count-by", "threshold")[2]["counted_by"] == "threshold"
    keep({**own, "by_threshold": False, "threshold": None})  # most images are empty
    counts, kept, *_ = follow("--count-by", "threshold")
    assert not len(kept)
    assert not counts["count"].any()


def test_a_damaged_or_newer_file_is_named(cohort: Path, copied: Path, tmp_path: Path):
    predict = ["predict", copied, cohort / "000.png", "--out", tmp_path / "out", "--threads", 1]
    [begun] = told(copied)
    for changed in ({"sigma_vox": -1}, {"threshold": None, "by_threshold": True}, {"threshold": "high"}):
        (copied / "tuned.json").write_text(json.dumps({"format": 1, "tuned": [{**begun, **changed}]}))
        assert "tuned.json is damaged" in fails(*predict)
    (copied / "tuned.json").write_text("{")
    assert "tuned.json is damaged" in fails(*predict)
    (copied / "tuned.json").write_text(json.dumps({"format": 2, "weakspot": "9.0", "tuned": []}))
    assert "was written by weakspot 9.0 in format 2" in fails(*predict)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_tuned(cohort: Path, copied: Path, tmp_path: Path):
    lines = (cohort / "cohort.csv").read_text().splitlines()
    few = cohort / "few.csv"
    few.write_text("\n".join(lines[:10]))
    before = (copied / "tuned.json").read_bytes()
    assert "9 images to tune by: expected 10 or more" in fails("tune", copied, few)
    assert (copied / "tuned.json").read_bytes() == before
    # One that cannot be read is left out.
    (cohort / "broken.png").write_text("no picture")
    (cohort / "some.csv").write_text("\n".join([*lines[:13], "broken,broken.png,1,train"]))
    done = run("tune", copied, cohort / "some.csv", "--size", 4, "--threads", 1)
    assert "left out: id broken" in done.stderr
    assert "tuned by 12 images" in done.stdout
    assert [each["sought"]["size"] for each in told(copied)] == [6, 4]
    said = run("train", few, "--out", tmp_path / "small", *QUICK, "--steps", 2).stdout
    assert "not tuned, for of 2 validation images" in said
    assert not (tmp_path / "small" / "tuned.json").exists()
    settings = copied / "settings.json"
    settings.write_text(settings.read_text().replace('"objective": "regression"', '"objective": "classification"'))
    assert "trained to notice, not to count" in fails("tune", copied, cohort / "cohort.csv")


def test_a_training_is_complete_where_tuning_fails(cohort: Path, copied: Path, monkeypatch: pytest.MonkeyPatch):
    (copied / "tuned.json").unlink()
    arguments = ["train", cohort / "cohort.csv", "--out", copied, *QUICK, "--resume"]

    def too_large(*given: object) -> None:
        raise MemoryError("12 GB")

    def stopped(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("weakspot.tuning.tune", too_large)
    assert f"12 GB: not tuned; weakspot tune {copied} does it" in run(*arguments).stderr
    monkeypatch.setattr("weakspot.tuning.tune", stopped)
    assert "the network is trained, and not tuned" in run(*arguments, code=130).stderr


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve scans of different sizes, every other of twice the spacing, each with its slice."""
    folder, rng = tmp_path_factory.mktemp("scans"), np.random.default_rng(0)
    lines = ["id,image,count,split,slice"]
    for number in range(24):
        values = rng.integers(50, 400, (16 + number % 2, 16, 9)).astype(np.int16)
        values[4:7, 3 : 3 + 4 * (number % 3), 3:6] = 3000
        write_scan(folder / f"{number:03d}.nii.gz", values, AFFINES["oblique"] @ np.diag([*[1 + number % 2] * 3, 1]))
        split = "train" if number < 12 else "val"
        lines.append(f"{number:03d},{number:03d}.nii.gz,{number % 3},{split},{number % 4 + 2}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.filterwarnings("ignore::weakspot.data.cohort.CohortWarning")
def test_slices_and_filters_in_mm_are_searched_as_predict_does(scans: Path):
    quick = [*QUICK[2:], "--steps", 2]
    done = run("train", scans / "cohort.csv", "--out", scans / "run", *quick)
    assert "the table names slices, and --slice-axis does not say that they were counted" in done.stderr
    assert not (scans / "run" / "tuned.json").exists()
    run("train", scans / "cohort.csv", "--out", scans / "sliced", *quick, "--slice-axis", "k")
    assert told(scans / "sliced")[0]["sought"]["slice_axis"] == 2
    assert "expected i, j, k" in fails(
        "train", scans / "cohort.csv", "--out", scans / "no", *quick, "--slice-axis", "x"
    )

    trained = load(scans / "run")
    table = pd.read_csv(scans / "cohort.csv", dtype={"id": str})
    files = [
        File(row.id, scans / row.image, slice_index=float(row.slice))
        for row in table.itertuples()
        if row.split == "val"
    ]
    counts = dict(zip(table["id"], table["count"], strict=True))
    settings = FileSettings("cam", size_mm=4.0, slice_axis=2, displaced_vox=(1.0, 0.0, 0.0))
    told_here = tune(trained, files, counts, settings)
    slow = {
        sigma: [each.candidates.scores for each in predict_files(trained, files, replace(settings, smooth=sigma))]
        for sigma in sigmas_for(17)
    }
    expected = smoothing_by_counts(slow, [counts[file.identifier] for file in files])
    assert (told_here.sigma_vox, told_here.images) == (expected.sigma_vox, 12)
    assert told_here.threshold == pytest.approx(expected.threshold)
    with pytest.raises(InputError, match="9 images to tune by"):
        tune(trained, files[:9], counts, settings)


def test_scores_at_every_smoothing():
    attention = np.random.default_rng(0).normal(size=(20, 20))
    for sigma, scores in zip((0.0, 1.0), scores_at((0.0, 1.0), attention, size=3), strict=True):
        assert np.array_equal(scores, candidates(attention, 3, smooth=sigma).scores)
