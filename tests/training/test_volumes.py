"""Training on volumes: gradients added up part by part, in several processes, from another network, out of a cache."""

import copy
import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.networks.test_networks import each_architecture, randomised
from tests.test_cli import fails, run
from tests.training.test_fit import FAST, disks, weights
from weakspot.data.cohort import cohort_of_images
from weakspot.data.images import load_images
from weakspot.data.scan_files import ScanWarning
from weakspot.data.scans import write_scan
from weakspot.data.shrinking import factors_for, shrunk
from weakspot.errors import InputError
from weakspot.networks import NetworkSettings, build, normalisation
from weakspot.training import memory
from weakspot.training.fit import fit
from weakspot.training.initial import fit_head
from weakspot.training.run import load, train
from weakspot.training.settings import FitSettings


def test_how_many_at_once_is_a_matter_of_memory(tmp_path: Path):
    one, three, whole = (weights(FAST, tmp_path / str(at_once), at_once=at_once) for at_once in (1, 3, None))
    for name, value in one.items():
        torch.testing.assert_close(three[name], value, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(whole[name], value, rtol=1e-4, atol=1e-5)


def test_volumes_one_by_one_are_learnt_from(tmp_path: Path):
    train_on, validation = disks(64, 0, 12, 3), disks(32, 1, 12, 3)
    settings = FitSettings(replace(FAST, steps=150, validate_every=5), at_once=1)
    history = fit(build("gp_unet", 3, width=4), train_on, validation, settings, tmp_path)
    assert min(row["validation_loss"] for row in history) < 0.5 * np.var(validation.counts)


@each_architecture
@pytest.mark.parametrize("dims", [2, 3])
def test_norms_are_put_on_a_trained_network_without_changing_its_counts(name: str, dims: int):
    network = randomised(name, dims).float()
    images = torch.rand(6, 1, *[12] * dims, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = network.eval()(images).count
    normalisation.attach_to_trained(network, lambda: images.split(4))
    for layer in (network.get_submodule("conv1"), network.get_submodule("head")):
        assert layer.norm.variance.std() > 0  # statistics were taken
    with torch.inference_mode():
        torch.testing.assert_close(network(images).count, before, rtol=1e-3, atol=1e-4)
        normalisation.fold(network)
        torch.testing.assert_close(network(images).count, before, rtol=1e-3, atol=1e-4)


def run_of(out: Path, size: int = 12, steps: int = 8, name: str = "gp_unet", **options):
    settings = FitSettings(
        replace(FAST, steps=steps, learning_rate=options.pop("rate", 1e-2)), **options.pop("fit", {})
    )
    return train(out, NetworkSettings(name, 3, 2), disks(16, 0, size, 3), disks(8, 1, size, 3), settings, **options)


@pytest.mark.parametrize("at_once", [None, 1])
def test_a_training_begins_with_another_networks_weights(tmp_path: Path, at_once: int | None):
    first = run_of(tmp_path / "first", steps=60)
    images = torch.from_numpy(disks(5, 3, 12, 3).images.batch(np.arange(5)))
    # With next to no learning rate, what comes out is what went in.
    again = run_of(tmp_path / "again", steps=1, rate=1e-12, init_from=first, fit={"at_once": at_once})
    with torch.inference_mode():
        counts = first.network(images).count
        torch.testing.assert_close(again.network(images).count, counts, rtol=2e-2, atol=2e-2)
    # The mean over more voxels of as many objects is smaller; the head is made for it.
    larger = run_of(tmp_path / "larger", 14, steps=1, rate=1e-12, init_from=first, fit={"at_once": at_once})
    given = disks(16, 0, 14, 3)
    with torch.inference_mode():
        found = larger.network(torch.from_numpy(given.images.batch(np.arange(16)))).count.numpy()
    assert found.mean() == pytest.approx(given.counts.mean(), abs=0.05)
    assert np.mean((found - given.counts) ** 2) < 0.5 * given.counts.var()
    kept = json.loads((tmp_path / "again" / "settings.json").read_text())["init_from"]
    assert len(kept) == 16
    assert "init_from" not in json.loads((tmp_path / "first" / "settings.json").read_text())
    with pytest.raises(InputError, match=r"gp_unet of width 2 in 3D.* and base of width 2 .*: choose the same"):
        run_of(tmp_path / "base", name="base", init_from=first)


def test_the_head_is_fitted_to_the_counts_of_other_images():
    network = randomised("gp_unet", 2).float().eval()
    images = torch.rand(40, 1, 12, 12, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.2, 1, 40)[
        torch.randperm(40, generator=torch.Generator().manual_seed(1))
    ].reshape(-1, 1, 1, 1)
    with torch.inference_mode():
        given = network(images).count
    one = np.asarray(20 * (given - given.min()) / (given.max() - given.min()), float)  # the counts but for their scale

    def fitted(counts):
        own = copy.deepcopy(network)
        normalisation.attach_to_trained(own, lambda: images.split(7))
        before = own.get_submodule("head").weight.detach().clone()
        fit_head(own, images.split(7), counts)
        with torch.inference_mode():
            return own(images).count.numpy(), before, own.get_submodule("head").weight.detach()

    found, before, after = fitted(one)
    assert found.mean() == pytest.approx(one.mean(), rel=1e-4)
    np.testing.assert_allclose(found, one, atol=0.5)
    factor = one.std() / float(given.std(correction=0))  # what is right is scaled and left as it is
    np.testing.assert_allclose(
        after.detach(), factor * before.detach(), rtol=1e-3, atol=1e-3 * float(after.abs().max())
    )
    # Counts the other way round: nothing is left of the weights, and the mean is right from the start.
    found, before, after = fitted(20 - one)
    assert np.mean((found - (20 - one)) ** 2) < 0.1 * one.var()
    assert float(before @ after) < 0
    # Counts that have nothing to do with the images are hardly learnt by heart.
    found, _, _ = fitted(np.random.default_rng(0).permutation(one))
    assert found.std() < one.std()
    assert found.mean() == pytest.approx(one.mean(), rel=1e-4)


def test_it_goes_on_better_than_from_nothing(tmp_path: Path):
    first = run_of(tmp_path / "first", steps=100)
    fresh, tuned = (
        run_of(tmp_path / out, steps=4, rate=rate, init_from=start).settings["result"]["validation_loss"]
        for out, rate, start in (("fresh", 1e-2, None), ("tuned", 1e-3, first))
    )
    assert tuned < 0.5 * fresh


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    examples = disks(24, 0, 12, 3)
    lines = ["id,image,count,split"]
    for number, (image, count) in enumerate(zip(examples.images.images, examples.counts, strict=True)):
        write_scan(tmp_path / f"{number}.nii.gz", image[0], np.diag([1.0, 1, 2, 1]))
        lines.append(f"{number},{number}.nii.gz,{count},{'val' if number % 3 == 2 else 'train'}")
    (tmp_path / "cohort.csv").write_text("\n".join(lines))
    return tmp_path


def test_scans_out_of_the_cache_are_those_that_were_read(scans: Path, tmp_path: Path):
    cohort, folder = cohort_of_images(sorted(scans.glob("*.nii.gz"))), tmp_path / "cache"
    plain = load_images(cohort)
    for _ in range(2):  # made, then used
        store = load_images(cohort, cache=folder)
        assert all(isinstance(each, np.memmap) for each in store.images)
        assert np.array_equal(store.batch(np.arange(24)), plain.batch(np.arange(24)))
    kept = sorted(folder.glob("*.npy"))
    assert len(kept) == 24
    assert not list(folder.glob("*.tmp"))
    kept[0].write_bytes(kept[0].read_bytes()[:90])  # cut off: made again
    kept[1].write_bytes(b"")
    kept[2].with_suffix(".json").write_text("[]")
    write_scan(scans / "3.nii.gz", np.full((12, 12, 12), 0.5), np.diag([1.0, 1, 2, 1]))  # changed: another
    store = load_images(cohort, cache=folder)
    assert np.ptp(store.images[cohort.ids.index("3")]) == 0
    assert len(list(folder.glob("*.npy"))) == 25
    for factors, files in (((2,), 49), ((2, 2, 2), 49), ((2, 1, 1), 73), ((1, 1, 1), 73)):
        store = load_images(cohort, cache=folder, shrink=factors)
        assert store.shape == tuple(12 // by for by in factors_for(factors, 3))
        assert np.array_equal(store.images[0], shrunk(load_images(cohort).images[0], factors))
        assert len(list(folder.glob("*.npy"))) == files
    (scans / "4.nii.gz").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"id 4: .*4\.nii\.gz"):
        load_images(cohort, cache=folder)


def test_what_scans_are_warned_of_is_warned_of_again_out_of_the_cache(tmp_path: Path):
    values = np.random.default_rng(0).random((3, 3, 3))
    for name in ("first.nii.gz", "first.nii.gz", "renamed.nii.gz"):
        write_scan(tmp_path / name, values, None)
        with pytest.warns(ScanWarning) as caught:
            load_images(cohort_of_images([tmp_path / name]), cache=tmp_path / "cache")
        assert [str(each.message).split(": ")[:2] for each in caught] == [
            [
                str(tmp_path / name),
                "its header says neither spacing nor position (no sform, no qform); nothing of it can be told in mm",
            ]
        ]
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


def test_steps_that_memory_does_not_hold_are_refused_with_the_way_out(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(memory, "available_memory", lambda device: 1e9)
    given = NetworkSettings("gp_unet", 3, 32), (100, 100, 50), torch.device("cpu")
    with pytest.raises(
        InputError, match=r"16 image\(s\) of 100x100x50 at once takes about 11\.5 GB.*1\.0.*--at-once 1"
    ):
        memory.check_memory(given[0], FitSettings(replace(FAST, batch_size=16)), *given[1:])
    memory.check_memory(given[0], FitSettings(replace(FAST, batch_size=16), at_once=1), *given[1:])
    with pytest.raises(InputError, match="smaller --width"):
        memory.check_memory(given[0], FitSettings(FAST, at_once=1), (300, 300, 50), given[2])


def log_of(folder: Path) -> np.ndarray:
    with (folder / "log.csv").open() as file:
        return np.array([[float(row["train_loss"]), float(row["validation_loss"])] for row in csv.DictReader(file)])


@pytest.mark.parametrize("options", [[], ["--at-once", "1"]], ids=["all at once", "one at a time"])
def test_two_processes_train_the_network_that_one_does(scans: Path, tmp_path: Path, options: list[str]):
    arguments = [
        "train",
        scans / "cohort.csv",
        "--width",
        2,
        "--steps",
        12,
        "--batch-size",
        5,
        "--threads",
        1,
        *options,
    ]
    run(*arguments, "--out", tmp_path / "one")
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "weakspot",
    ]
    done = subprocess.run(
        [*torchrun, *map(str, arguments), "--out", str(tmp_path / "two")],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("16 images to train on, 8 to validate, on cpu, in 2 processes") == 1
    assert np.allclose(log_of(tmp_path / "two"), log_of(tmp_path / "one"), rtol=1e-4)
    one, two = (load(tmp_path / name).network.state_dict() for name in ("one", "two"))
    for name, value in one.items():
        if options:  # each image passes alone, and sums are the same however they are shared out
            assert torch.equal(two[name], value)
        torch.testing.assert_close(two[name], value, rtol=1e-2, atol=1e-3)
    assert "exists already" in fails(*arguments, "--out", tmp_path / "two")
