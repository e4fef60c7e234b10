"""Run folders: complete or absent, refused where they would be overwritten, and readable again."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

import weakspot
from tests.attention.test_displacement import blob
from tests.training.test_fit import FAST, disks
from weakspot.data.images import ImageStore
from weakspot.errors import InputError
from weakspot.networks import NetworkSettings
from weakspot.training.displaced import displaced, displaced_by_maps
from weakspot.training.objectives import constant_loss
from weakspot.training.run import FORMAT, Run, load, train
from weakspot.training.settings import Examples, FitSettings, fingerprint

ARCHITECTURE = NetworkSettings("base", 2, 2)


def run(out: Path, recipe=FAST, data: int = 0, **options) -> Run:
    return train(out, ARCHITECTURE, disks(16, data), disks(8, 9), FitSettings(recipe), **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    run(out)
    return out


def test_a_run_reads_back_as_it_was(folder: Path, tmp_path: Path):
    fresh, read = run(tmp_path / "again"), load(folder)
    assert {path.name for path in folder.iterdir()} == {
        "settings.json", "weights.safetensors", "log.csv", "environment.json"
    }  # fmt: skip
    images = torch.from_numpy(disks(3, 5).images.batch(np.arange(3)))
    with torch.inference_mode():
        assert torch.equal(read.network(images).count, fresh.network(images).count)
    assert (read.architecture, read.objective, read.shape) == (ARCHITECTURE, "regression", (24, 24))
    assert (folder / "weights.safetensors").read_bytes() == (tmp_path / "again" / "weights.safetensors").read_bytes()


def test_the_loss_of_a_constant_guess(folder: Path):
    known, new = disks(16, 0).counts, disks(8, 9).counts
    expected = np.mean((new - known.mean()) ** 2)
    assert load(folder).settings["result"]["constant_loss"] == pytest.approx(expected, rel=1e-6)
    # Three of four have something: log-odds of 3.5 to 1.5, so a probability of 0.7.
    by_hand = -(np.log(0.7) + np.log(0.3)) / 2
    assert constant_loss("classification", [0, 1, 5, 2.5], [3, 0]) == pytest.approx(by_hand, rel=1e-6)


def test_how_far_maps_lie_off_is_told_by_mirrored_validation_images(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    read = load(folder)
    some = np.flatnonzero(disks(8, 9).counts)  # images without objects tell nothing
    assert 0 < len(some) < 8
    told = displaced(read.network, "grad_cam", FitSettings(FAST), disks(8, 9), read.shape)
    assert told is not None
    assert read.displaced_vox == pytest.approx(told, abs=1e-3)
    assert run(tmp_path / "never flipped", replace(FAST, flipped_until=0.0)).displaced_vox is None
    nothing = replace(disks(8, 9), counts=np.zeros(8))
    assert displaced(read.network, "grad_cam", FitSettings(FAST), nothing, read.shape) is None

    def too_large(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr("weakspot.training.displaced.mirrored_maps", too_large)
    assert run(tmp_path / "no memory").displaced_vox is None  # and the training is not lost
    assert load(tmp_path / "no memory").displaced_vox is None


@pytest.mark.parametrize("number", [1, 3])
def test_detections_tell_unless_they_are_of_other_things(number: int, monkeypatch: pytest.MonkeyPatch):
    """Maps are broad responses to the objects, in place, with a bright spot at one side, and two others elsewhere."""
    rng, pairs = np.random.default_rng(0), []
    for _ in range(6):
        place, sides = rng.integers(24, 36, 2), []
        for sign in (1, -1):
            values = 0.2 * blob((60, 60), tuple(place), 5.0)
            values[tuple(place + sign * np.array([-2, 3]))] += 1
            for column in (5, 55):
                values[30 - sign * 25, column] = 0.5
            sides.append(values)
        pairs.append(tuple(sides))
    monkeypatch.setattr("weakspot.training.displaced.mirrored_maps", lambda *_: pairs)
    validation = Examples(ImageStore((np.zeros((1, 60, 60), np.float32),) * 6), np.full(6, number), tuple("abcdef"))
    given = ARCHITECTURE.build(), "cam", FitSettings(FAST), validation, (60, 60)
    as_a_whole = displaced_by_maps(*given)
    assert as_a_whole == pytest.approx((0, 0), abs=0.5)
    assert displaced(*given) == pytest.approx((-2, 3) if number == 1 else as_a_whole, abs=0.01)


def test_floats_of_another_scale_are_refused_and_dark_integers_are_not(folder: Path):
    read = load(folder)
    assert read.highest_value == disks(16, 0).images.batch(np.arange(16)).max()
    examples = Examples(ImageStore((*[np.full((1, 2, 2), 0.1)] * 149, np.full((1, 2, 3), 0.7))), np.zeros(150, int), ())
    assert examples.highest_value() == np.float32(0.7)  # of the last of many
    dark = replace(read, settings={"result": {"highest_value": 0.001}})
    dark.ready(np.full((1, 24, 24), 65535, np.uint16))
    dark.ready(np.full((1, 24, 24), 0.049, np.float32))
    with pytest.raises(InputError, match=r"go up to 0\.06, those of the training images to 0\.001: bring it"):
        dark.ready(np.full((1, 24, 24), 0.06, np.float32))
    below = replace(read, settings={"result": {"highest_value": -0.5}})  # what is below 0 tells no scale
    below.ready(np.full((1, 24, 24), -0.5, np.float32))
    for unknown in ({}, {"result": {}}, {"result": {"highest_value": None}}):
        replace(read, settings=unknown).ready(np.full((1, 24, 24), 1e9, np.float32))


def test_counts_may_be_means_of_several_raters(tmp_path: Path):
    examples = disks(16, 0)
    halves = replace(examples, counts=examples.counts + 0.5)
    same = fingerprint(replace(examples, counts=examples.counts.astype(float)))
    assert fingerprint(examples) == same != fingerprint(halves)
    assert fingerprint(halves) != fingerprint(replace(examples, counts=examples.counts + 0.25))
    still = FitSettings(replace(FAST, steps=1))  # networks start at the mean of the counts
    whole, half = (
        train(tmp_path / str(index), ARCHITECTURE, each, each, still) for index, each in enumerate((examples, halves))
    )
    images = torch.from_numpy(examples.images.batch(np.arange(16)))
    with torch.inference_mode():
        means = [float(run.network(images).count.mean()) for run in (whole, half)]
    assert means[1] - means[0] == pytest.approx(0.5, abs=0.1)


def test_a_second_run_into_the_same_folder_is_refused(folder: Path, tmp_path: Path):
    before = (folder / "weights.safetensors").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        run(folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="exists already"):
        run(tmp_path, resume=True)
    assert (folder / "weights.safetensors").read_bytes() == before


def test_resuming_a_complete_run_reads_it_and_refuses_other_settings_and_data(folder: Path):
    before = (folder / "weights.safetensors").read_bytes()
    read = run(folder, resume=True)
    assert read.settings == json.loads((folder / "settings.json").read_text())
    with pytest.raises(InputError, match=r"run was begun with another data\.fingerprint"):
        run(folder, data=1, resume=True)
    with pytest.raises(InputError, match=r"fit\.recipe\.steps \(8 then, 41 now\)"):
        run(folder, replace(FAST, steps=41), resume=True)
    with pytest.raises(InputError, match="init_from"):
        run(folder, resume=True, init_from=read)
    assert (folder / "weights.safetensors").read_bytes() == before


def test_what_fails_before_its_first_step_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out, wild = tmp_path / "run", disks(16, 0)
    wild.images.images[3][...] = 1e30
    with pytest.raises(InputError, match=f"the largest of which is .*, in image {wild.ids[3]}"):
        train(out, ARCHITECTURE, wild, disks(8, 9), FitSettings(FAST))
    assert not list(tmp_path.iterdir())

    def fail(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with monkeypatch.context() as patched:
        patched.setattr("weakspot.training.run.fit", fail)
        with pytest.raises(InputError, match=r"out of memory .* with \d+ image\(s\) of 24x24 at once.*--at-once"):
            run(out)
    assert not list(tmp_path.iterdir())
    out.mkdir()  # an empty folder is as good as none
    run(out)


def test_a_path_below_a_file_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file is a file, not a folder"):
        run(tmp_path / "file" / "run")


def test_a_folder_without_a_name_and_damaged_settings_are_refused(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="exists already"):
        run(Path())
    partial = tmp_path / "run.partial"
    partial.mkdir()
    for damage in (b"{", b"\xff\xfe", b"[]", b"{}"):
        (partial / "settings.json").write_bytes(damage)
        with pytest.raises(InputError, match=r"settings\.json is damaged .*: remove .*run\.partial"):
            run(tmp_path / "run", resume=True)


def test_what_was_cut_off_needs_resume_and_the_same_settings(tmp_path: Path):
    out = tmp_path / "run"

    def fail(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(out, report=fail)
    assert not out.exists()
    with pytest.raises(InputError, match="--resume"):
        run(out)
    with pytest.raises(InputError, match=r"no run folder.*cut off"):
        load(out)
    with pytest.raises(InputError, match=r"fit\.recipe\.learning_rate \(0\.005 then, 0\.5 now\)"):
        run(out, replace(FAST, learning_rate=0.5), resume=True)
    with pytest.raises(InputError, match=r"data\.fingerprint"):
        run(out, data=1, resume=True)
    for resume in (True, False):  # who is told that it was cut off would remove it
        with FileLock(out.with_name("run.partial") / "lock"), pytest.raises(InputError, match="another process"):
            run(out, resume=resume)
    run(out, resume=True)
    assert not out.with_name("run.partial").exists()


def test_what_was_cut_off_goes_on_with_another_version_which_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(progress):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("weakspot.__version__", "0.0.9")
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "run", report=fail)
    resumed = run(tmp_path / "run", resume=True)
    assert (resumed.settings["begun_by"], resumed.settings["weakspot"]) == ("0.0.9", weakspot.__version__)
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == (folder / "weights.safetensors").read_bytes()
    assert "begun_by" not in load(folder).settings


def test_going_on_in_another_environment_is_warned_of_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(progress):
        raise KeyboardInterrupt

    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr("torch.__version__", "1.0")
        with pytest.raises(KeyboardInterrupt):
            run(out, report=fail)
    with pytest.warns(RuntimeWarning, match=re.escape(f"same bytes: torch 1.0 then, {torch.__version__} now")):
        run(out, resume=True)
    kept = json.loads((out / "environment.json").read_text())
    assert (kept["torch"], kept["went_on_with"]) == ("1.0", {"torch": torch.__version__})


def test_what_was_cut_off_before_it_was_moved_into_place_is_resumed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", fail)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "run")
    assert "result" in json.loads((tmp_path / "run.partial" / "settings.json").read_text())
    run(tmp_path / "run", resume=True)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {path.name for path in folder.iterdir()}
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == (folder / "weights.safetensors").read_bytes()


def test_what_is_no_run_folder_is_refused_with_a_reason(folder: Path, tmp_path: Path):
    with pytest.raises(InputError, match="no run folder"):
        load(tmp_path / "nothing")
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("settings.json", "weights.safetensors"):
        (broken / name).write_bytes((folder / name).read_bytes())
    settings = json.loads((folder / "settings.json").read_text())
    (broken / "settings.json").write_text(json.dumps({**settings, "format": FORMAT + 1, "weakspot": "9.0"}))
    with pytest.raises(InputError, match=r"written by weakspot 9\.0"):
        load(broken)
    for part, key, value in (
        ("fit", "objective", "foo"),
        ("data", "shape", ["a", 2]),
        ("data", "shape", [24]),
        ("data", "shrink", [2]),
        ("data", "shrink", [0, 2]),
        ("data", "shrink", "22"),
        ("data", "shrink", 2),
        ("result", "highest_value", "bright"),
        ("result", "highest_value", float("nan")),
        ("result", "displaced_vox", [1.0]),
    ):
        (broken / "settings.json").write_text(json.dumps({**settings, part: {**settings[part], key: value}}))
        with pytest.raises(InputError, match=r"^(no objective 'foo'|.*damaged run folder \((Type|Value)Error)[^\n]*$"):
            load(broken)
    (broken / "settings.json").write_text(json.dumps(settings))
    (broken / "weights.safetensors").unlink()
    with pytest.raises(InputError, match=r"weights\.safetensors is missing"):
        load(broken)
    (broken / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="damaged run folder"):
        load(broken)
