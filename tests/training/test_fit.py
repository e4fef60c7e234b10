"""Fitting: it learns, it can be cut off anywhere and resumed to the same bytes, and it stops at a loss that is NaN."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from weakspot.data.augment import AugmentSettings
from weakspot.data.images import ImageStore
from weakspot.errors import InputError
from weakspot.networks import build
from weakspot.training.fit import fit
from weakspot.training.interrupt import Interrupted
from weakspot.training.muon import Muon
from weakspot.training.recipes import RECIPES, Recipe
from weakspot.training.settings import Examples, FitSettings, Progress
from weakspot.training.state import State

FAST = replace(RECIPES["fast"], batch_size=8, steps=8, validate_every=1)


def disks(n: int, seed: int, size: int = 24, dims: int = 2) -> Examples:
    """Images of n bright balls of radius 2 on noise, with their number, 0 to 3."""
    rng = np.random.default_rng(seed)
    images = 0.1 * rng.random((n, 1, *[size] * dims)).astype(np.float32)
    counts = rng.integers(4, size=n)
    grid = np.stack(np.meshgrid(*[np.arange(size)] * dims, indexing="ij"), axis=-1)
    for image, count in zip(images, counts, strict=True):
        for centre in rng.integers(3, size - 3, (count, dims)):
            image[0][((grid - centre) ** 2).sum(-1) <= 4] = 1
    return Examples(ImageStore(tuple(images)), counts, tuple(f"image{i}" for i in range(n)))


def weights(recipe: Recipe, folder: Path, report=lambda progress: None, **settings) -> dict[str, torch.Tensor]:
    folder.mkdir(exist_ok=True)
    network = build("gp_unet", 2, width=2)
    fit(network, disks(24, 0), disks(8, 1), FitSettings(recipe, **settings), folder, report=report)
    return network.state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("objective", ["regression", "classification"])
@pytest.mark.parametrize("dims", [2, 3])
def test_it_beats_the_best_constant(objective: str, dims: int, tmp_path: Path):
    train, validation = disks(64, 0, 12 if dims == 3 else 24, dims), disks(32, 1, 12 if dims == 3 else 24, dims)
    network = build("gp_unet", dims, width=4)
    settings = FitSettings(replace(FAST, steps=120, validate_every=5), objective)
    history = fit(network, train, validation, settings, tmp_path)
    targets = np.array(validation.counts, float)
    if objective == "regression":
        constant = np.var(targets)
    else:
        p = np.mean(targets > 0)
        constant = -p * np.log(p) - (1 - p) * np.log(1 - p)
    assert min(row["validation_loss"] for row in history) < 0.5 * constant


def test_the_delivered_network_has_the_best_validation_loss_and_no_norms(tmp_path: Path):
    validation = disks(8, 1)
    network = build("gp_unet", 2, width=2)
    history = fit(network, disks(24, 0), validation, FitSettings(FAST), tmp_path)
    assert network.state_dict().keys() == build("gp_unet", 2, width=2).state_dict().keys()
    with torch.inference_mode():
        counts = network(torch.from_numpy(validation.images.batch(range(8)))).count
    loss = torch.nn.functional.mse_loss(counts, torch.from_numpy(validation.counts).float())
    assert float(loss) == pytest.approx(min(row["validation_loss"] for row in history), rel=1e-4)


def test_under_regression_the_delivered_map_has_the_count_as_its_mean(tmp_path: Path):
    from weakspot.attention import attend

    images = torch.from_numpy(disks(8, 1).images.batch(np.arange(8)))
    for objective, pool, zero in (("regression", "gp_unet", True), ("classification", "gp_unet", False)):
        (tmp_path / objective).mkdir()
        network = build(pool, 2, width=2)
        fit(network, disks(24, 0), disks(8, 1), FitSettings(FAST, objective), tmp_path / objective)
        with torch.inference_mode():
            counts = network(images).count
        means = attend("cam", network, images).mean((1, 2))
        assert torch.allclose(means, counts, atol=1e-4) == zero


@pytest.mark.parametrize("recipe", [FAST, replace(RECIPES["paper"], batch_size=8, patience=1)], ids=["fast", "paper"])
def test_cut_off_after_any_step_it_resumes_to_the_same_bytes(recipe: Recipe, tmp_path: Path):
    whole = weights(recipe, tmp_path / "whole")

    def stop_after(step: int):
        def report(progress: Progress) -> None:
            if progress.step == step:
                os.kill(os.getpid(), signal.SIGTERM)

        return report

    for step in (1, 3, 5):  # within an epoch, at its end, within the next
        with pytest.raises(Interrupted):
            weights(recipe, tmp_path / "cut", report=stop_after(step))
    assert same(weights(recipe, tmp_path / "cut"), whole)


def test_as_many_steps_as_asked_and_validations_within_long_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from weakspot.training import fit as fitting

    def history(folder: str) -> list[dict[str, float]]:
        settings = FitSettings(replace(FAST, validate_every=2))  # 8 steps, of 3 an epoch
        (tmp_path / folder).mkdir()
        return fit(build("gp_unet", 2, width=2), disks(24, 0), disks(8, 1), settings, tmp_path / folder)

    plain = history("plain")
    assert [(row["epoch"], row["step"]) for row in plain] == [(2, 6), (3, 8)]
    monkeypatch.setattr(fitting, "_BETWEEN", 2)
    often = history("often")
    assert [(row["epoch"], row["step"]) for row in often] == [(1, 2), (2, 4), (2, 6), (3, 8)]
    # Looking more often changes nothing.
    for row, other in zip(plain, (often[2], often[3]), strict=True):
        assert {**row, "seconds": 0} == {**other, "seconds": 0}


def test_statistics_are_of_images_from_all_over_a_large_cohort():
    from weakspot.training.fit import _chunks

    assert np.array_equal(np.concatenate(_chunks(400, 2000)), np.arange(400))
    chosen = np.concatenate(chunks := _chunks(30_500, 2000))
    assert len(np.unique(chosen)) == 2000
    assert chosen[0] == 0
    assert set(np.diff(chosen)) == {15, 16}  # to the end
    assert chosen[-1] >= 30_500 - 16
    assert max(map(len, chunks)) <= 50


def test_a_damaged_state_falls_back_on_the_one_before_and_says_so(tmp_path: Path):
    whole = weights(FAST, tmp_path / "whole")
    for step in (2, 4):
        with pytest.raises(Interrupted):
            weights(FAST, tmp_path / "cut", lambda p, step=step: os.kill(os.getpid(), 15) if p.step == step else None)
    state = tmp_path / "cut" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.warns(RuntimeWarning, match=r"state\.safetensors is damaged .*: going on from the state before it"):
        assert same(weights(FAST, tmp_path / "cut"), whole)
    for path in (state, state.with_name("state.previous.safetensors")):
        path.write_bytes(b"")
    with pytest.warns(RuntimeWarning, match=r"state\.safetensors is damaged .*: going on from the start"):
        assert same(weights(FAST, tmp_path / "cut"), whole)


def test_same_seed_same_bytes_and_another_seed_others(tmp_path: Path):
    first = weights(FAST, tmp_path / "a")
    assert same(weights(FAST, tmp_path / "b"), first)
    assert not same(weights(FAST, tmp_path / "c", seed=1), first)
    assert not same(weights(FAST, tmp_path / "d", augmentation=AugmentSettings(0, 0, False)), first)


def test_a_loss_that_is_not_finite_stops_names_the_images_and_keeps_the_last_state(tmp_path: Path):
    train = disks(24, 0)
    network = build("gp_unet", 2, width=2)
    settings = FitSettings(replace(FAST, standardise=False))
    train.images.images[5][:] = np.nan
    with pytest.raises(InputError, match=r"the loss is nan in epoch 1, step \d.*images of this batch: .*image"):
        fit(network, train, disks(8, 1), settings, tmp_path)
    with pytest.raises(InputError, match="features of the training images are not finite"):
        fit(build("gp_unet", 2, width=2), train, disks(8, 1), FitSettings(FAST), tmp_path)
    state = State(network, Muon(network.parameters(), 1e-2))
    assert state.restore(tmp_path) is None
    assert all(bool(torch.isfinite(value).all()) for value in network.state_dict().values())


def test_weights_that_are_not_finite_take_the_place_of_no_good_ones(tmp_path: Path, monkeypatch):
    """A step may leave them so after a finite loss: it is taken back, its batch named, and the best can be used."""
    train, network = disks(24, 0), build("gp_unet", 2, width=2)
    taken, step, before = 0, Muon.step, []

    def breaks(self):
        nonlocal taken
        taken += 1
        before[:] = [each["params"][0].detach().clone() for each in self.param_groups]
        step(self)
        if taken == 8:
            for each in self.param_groups:
                each["params"][0].data[:] = np.nan

    monkeypatch.setattr(Muon, "step", breaks)
    with pytest.raises(
        InputError,
        match=r"not be finite after epoch 3, step 2: .* images of this batch: .* best network so far, of epoch",
    ) as refused:
        fit(network, train, disks(8, 1), FitSettings(FAST), tmp_path)
    named = str(refused.value).split("of this batch: ")[1].split(";")[0].split(", ")
    assert len(set(named) & set(train.ids)) == len(named) == FAST.batch_size
    state = State(network, Muon(network.parameters(), 1e-2))
    assert state.restore(tmp_path) is None
    assert (state.epoch, state.step) == (2, 1)
    assert state.is_finite()
    assert all(
        torch.equal(each["params"][0], was) for each, was in zip(state.optimizer.param_groups, before, strict=True)
    )
    from safetensors.torch import load_file

    best = load_file(tmp_path / "weights.safetensors")
    assert same(best, state.best)
    assert all(bool(torch.isfinite(value).all()) for value in best.values())


def test_a_validation_loss_that_is_not_finite_stops_and_keeps_the_state(tmp_path: Path):
    validation = disks(8, 1)
    validation.images.images[3][:] = np.nan
    with pytest.raises(InputError, match="the validation loss is nan after step 3: "):
        fit(build("gp_unet", 2, width=2), disks(24, 0), validation, FitSettings(FAST), tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))  # nothing good was there to keep yet


def test_the_paper_draws_from_the_standard_gaussian_and_stops_by_patience(tmp_path: Path):
    from weakspot.training.initial import initialise

    network = build("gp_unet", 3)
    initialise(network, FitSettings(RECIPES["paper"]), np.array([1]))
    drawn = network.state_dict()
    assert all(bool((value == 0).all()) for name, value in drawn.items() if name.endswith("bias"))
    drawn = torch.cat([value.flatten() for name, value in drawn.items() if name.endswith("weight")])
    assert float(drawn.std()) == pytest.approx(1, abs=0.01)
    assert float(drawn.mean()) == pytest.approx(0, abs=0.01)

    recipe = replace(RECIPES["paper"], patience=2, batch_size=24, learning_rate=0.0)
    history = fit(build("base", 2, 2), disks(24, 0), disks(8, 1), FitSettings(recipe), tmp_path)
    assert [row["epoch"] for row in history] == [1, 2, 3]  # the loss never falls, so 2 epochs after the first


def test_steps_decode_the_images_of_their_batch_alone(tmp_path: Path):
    decoded = []

    class Counting(ImageStore):
        def batch(self, indices):
            decoded.append(len(indices))
            return super().batch(indices)

    train = disks(24, 0)
    counting = replace(train, images=Counting(train.images.images))
    recipe = replace(FAST, standardise=False)
    fit(build("gp_unet", 2, width=2), counting, disks(8, 1), FitSettings(recipe), tmp_path)
    assert decoded == [1] + [8] * 8  # one for the shape


def test_images_are_moved_less_and_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from weakspot.data import augment

    done = []
    move = augment.apply

    def apply(images, how):
        done.append((how.flip.any(), how.rotation_rad.any()))
        return move(images, how)

    monkeypatch.setattr(augment, "apply", apply)
    # 2/9 < 0.3 < 3/9, and 6/9 < 0.75 < 7/9
    weights(replace(FAST, steps=9, flipped_until=0.3, resampled_until=0.75), tmp_path / "flips")
    assert done == [(True, True)] * 3 + [(False, True)] * 4 + [(False, False)] * 2
    done.clear()
    weights(replace(FAST, steps=9, flipped_until=0.75, resampled_until=0.3), tmp_path / "rotations")
    assert done == [(True, True)] * 3 + [(True, False)] * 4 + [(False, False)] * 2


def test_a_network_that_has_died_is_told(tmp_path: Path):
    network = build("gp_unet_no_residual", 2, width=2)
    start = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    for name in start:
        if name.endswith("bias"):
            start[name] -= 1.0  # no ReLU lets anything through
    recipe = replace(FAST, steps=2, standardise=False)
    with pytest.warns(RuntimeWarning, match="the same count: it has died; train with a lower learning rate"):
        fit(network, disks(8, 0), disks(4, 1), FitSettings(recipe), tmp_path, start=start)
