"""``weakspot study mnist``: listing, running, going on, and what it says when units fail."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.test_cli import COMMAND, Done, fails, run
from weakspot.studies.units import Place

TINY = ["--sizes", "16,8,12", "--width", 2, "--steps", 2]
ONE = ["--digits", 4, "--methods", "gp_unet", "--objectives", "classification"]


def study(out: Path, digits: Path, *options: object) -> list[object]:
    return ["study", "mnist", "--out", out, "--digits-from", digits, *TINY, *options]


def test_a_dry_run_lists_and_writes_nothing(tmp_path: Path, digits_file: Path):
    arguments = study(tmp_path / "study", digits_file, "--dry-run")
    lines = run(*arguments).stdout.splitlines()
    assert sum("to do" in line for line in lines) == 240
    assert lines[-2:] == [
        "240 units: 0 done, 240 to run",
        "time left: unknown, until one training and one evaluation are measured",
    ]
    assert not (tmp_path / "study").exists()


def test_records_count_as_done_and_tell_the_time_left(tmp_path: Path, digits_file: Path):
    arguments = study(tmp_path, digits_file, *ONE, "--workers", 0)
    out = run(*arguments)
    assert "2 units, 2 to run" in out.stdout
    assert "2/2 evaluate-classification-gp_unet-4-seed0 done" in out.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert list(summary["mnist_classification_fauc"]["values"]["4"]) == ["gp_unet"]
    for name, seconds in (("train", 7200), ("evaluate", 1800)):
        path = tmp_path / "units" / f"{name}-classification-gp_unet-4-seed0.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": seconds}))
    listed = run(
        *study(tmp_path, digits_file, *ONE, "--digits", "4-6", "--workers", 2, "--threads", 2, "--dry-run")
    ).stdout
    assert "train-classification-gp_unet-4-seed0                         done\n" in listed
    assert "train-classification-gp_unet-5-seed0                         to do, 2 h 00 min\n" in listed
    assert listed.endswith("6 units: 2 done, 4 to run\ntime left: about 2 h 30 min with 2 at once\n")

    assert "begun with other settings: recipe.steps (2 then, 3 now)" in fails(*arguments, "--steps", 3)
    assert "width (2 then, 3 now)" in fails(*arguments, "--width", 3)

    assert "give one of them" in fails(*arguments, "--dry-run", "--report")

    with Place(tmp_path).alone():
        assert f"another command is at work in {tmp_path}: wait for it" in fails(*arguments)
        assert "summary.json" in run("study", "mnist", "--out", tmp_path, "--report").stdout

    (tmp_path / "units" / "evaluate-classification-gp_unet-4-seed0.json").write_text("{")
    (weights,) = tmp_path.glob("work/train-classification-gp_unet-4-seed0-*/run/weights.safetensors")
    weights.write_bytes(b"damaged")
    listed = run(*arguments, "--dry-run").stdout
    assert "evaluate-classification-gp_unet-4-seed0.json is damaged: its unit is run again" in listed
    said = fails(*arguments)
    assert "1 of 2 units failed; the same command tries them again" in said
    assert "  evaluate-classification-gp_unet-4-seed0: " in said
    assert "damaged run folder" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--digits", "4-x"], "digits '4-x': expected such as 4, 0-9 or 0-3,7"),
        (["--digits", "7-3"], "digits '7-3': expected such as"),
        (["--digits", "11"], "no digit 11"),
        (["--methods", "unet"], "no method 'unet'"),
        (["--recipe", "slow"], "no recipe 'slow'"),
        (["--sizes", "4,3"], "sizes '4,3': expected three numbers"),
        (["--scheduler", "tcp://127.0.0.1:1", "--workers", "2"], "with a scheduler, start workers there"),
        (["--scheduler-file", "nowhere.json"], "nowhere.json is not there"),
        (["--report"], "is no study"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path: Path, digits_file: Path, options: list[str], message: str):
    assert message in fails(*study(tmp_path / "study", digits_file, *ONE), *options)
    assert not list(tmp_path.glob("study/units/*"))


def begin(*arguments: object) -> "subprocess.Popen[str]":
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: "subprocess.Popen[str]", code: int) -> Done:
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, f"{out}\n{err}"
    return Done(out, err)


def wait_for_training(folder: Path, part: float = 0.0) -> dict[str, object]:
    """Return the status of the first unit once it runs, and some part of it is done."""
    for _ in range(1200):
        for path in folder.glob("work/train-classification-gp_unet-4-seed0-*/status.json"):
            if (status := json.loads(path.read_text())).get("part", 0) > part:
                return dict(status)
        time.sleep(0.1)
    raise AssertionError("no training began")


@pytest.mark.slow
def test_two_workers_run_what_one_process_runs(tmp_path: Path, digits_file: Path):
    options = ["--digits", 4, "--methods", "gp_unet,grad", "--objectives", "regression"]
    run(*study(tmp_path / "one", digits_file, *options, "--workers", 0))
    done = end(begin(*study(tmp_path / "two", digits_file, *options, "--workers", 2)), 0)
    assert "4/4" in done.stderr
    for path in (tmp_path / "one" / "units").glob("evaluate*.json"):
        one, two = (json.loads((tmp_path / each / "units" / path.name).read_text()) for each in ("one", "two"))
        assert one["result"] == two["result"]


@pytest.mark.slow
def test_a_killed_worker_s_unit_is_run_again(tmp_path: Path, digits_file: Path):
    process = begin(*study(tmp_path, digits_file, *ONE, "--workers", 1, "--steps", 300))
    killed = wait_for_training(tmp_path)["pid"]
    os.kill(int(str(killed)), signal.SIGKILL)
    end(process, 0)
    (path,) = tmp_path.glob("work/train-classification-gp_unet-4-seed0-*/status.json")
    status = json.loads(path.read_text())
    assert status["state"] == "done"
    assert status["pid"] != killed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, digits_file: Path) -> Path:
    """Run a small study without a break."""
    folder = tmp_path_factory.mktemp("whole")
    run(*study(folder, digits_file, *ONE, "--workers", 0, "--steps", 300))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 130)])
@pytest.mark.parametrize("workers", [0, 1])
def test_cut_off_it_goes_on(
    tmp_path: Path, digits_file: Path, whole: Path, stop: signal.Signals, code: int, workers: int
):
    arguments = study(tmp_path, digits_file, *ONE, "--workers", workers, "--steps", 300)
    process = begin(*arguments)
    wait_for_training(tmp_path, 0.01)
    process.send_signal(stop)
    done = end(process, code)
    if code == 130:
        assert done.stderr.splitlines()[-1] == (
            "error: interrupted; the same command goes on, and with --report it writes what is done so far"
        )
    assert not list((tmp_path / "units").glob("*.json"))
    run(*study(tmp_path, digits_file, *ONE, "--workers", 0, "--steps", 300))
    cut, uncut = (
        json.loads((folder / "units" / "evaluate-classification-gp_unet-4-seed0.json").read_text())["result"]
        for folder in (tmp_path, whole)
    )
    assert cut == uncut
