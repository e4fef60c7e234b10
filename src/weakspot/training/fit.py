"""Fitting a network to counts."""

import copy
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from weakspot.data import augment
from weakspot.errors import InputError
from weakspot.networks import normalisation
from weakspot.seeding import generator
from weakspot.training.initial import initialise
from weakspot.training.interrupt import Interrupted, caught_signals
from weakspot.training.objectives import OBJECTIVES
from weakspot.training.optimizers import OPTIMIZERS, learning_rate
from weakspot.training.settings import Examples, FitSettings, Progress
from weakspot.training.state import WEIGHTS, State, write_tensors

_SAVE_EVERY = 30.0  # seconds
_INFERENCE_BATCH = 50
_BETWEEN = 250  # steps, at most, between validations: epochs of large cohorts are long
_STATISTICS = 2000  # training images, at most, that the norms' statistics are taken from
_NAMED = 8  # images of a batch, at most, that an error names

Indices = NDArray[np.integer[Any]]


def fit(
    network: nn.Module,
    train: Examples,
    validation: Examples,
    settings: FitSettings,
    folder: Path,
    device: torch.device | str = "cpu",
    report: Callable[[Progress], None] = lambda progress: None,
) -> list[dict[str, float]]:
    """Fit a network to the counts; it ends with the weights of the lowest validation loss, norms folded away.

    The order of the images and their augmentation are functions of the seed, the epoch and the step: a training that
    was cut off goes on from the state in ``folder`` to the same weights, on the CPU to the same bytes. SIGTERM and
    SIGINT end it after the running step.

    Parameters
    ----------
    network : of `weakspot.networks.build`
        Its weights are drawn anew.
    train, validation : what to learn from, and what to choose the weights by
    settings : how
    folder : an existing folder
        Holds the state while the training lasts; where it holds one, the training goes on from there.
    device : where to compute
    report : called after every step

    Returns
    -------
    list of dict
        One row a validation: ``epoch, step, learning_rate, train_loss, validation_loss, seconds``.

    Raises
    ------
    InputError
        If a loss or a weight is not finite: the last good state is kept, the best weights so far are written to
        ``folder`` as a complete run's are, and the message names the batch.
    Interrupted
        After a signal, once the state is saved.
    """
    return _Fit(network, train, validation, settings, folder, torch.device(device), report).run()


class _Fit:
    """One training: what `fit` was given, and the steps that it takes."""

    def __init__(
        self,
        network: nn.Module,
        train: Examples,
        validation: Examples,
        settings: FitSettings,
        folder: Path,
        device: torch.device,
        report: Callable[[Progress], None],
    ) -> None:
        self.train, self.validation, self.settings = train, validation, settings
        self.folder, self.device, self.report = folder, device, report
        self.recipe, self.objective = settings.recipe, OBJECTIVES[settings.objective]
        initialise(network, settings, train.counts)
        self.network = network.to(device)
        optimizer = OPTIMIZERS[self.recipe.optimizer](network.parameters(), self.recipe)
        self.state = State(network, optimizer)
        self.batches = math.ceil(len(train.images) / self.recipe.batch_size)  # an epoch
        self.steps = self.recipe.steps
        self.between = min(self.recipe.validate_every * self.batches, _BETWEEN)
        self.targets = self._targets(train)

    def run(self) -> list[dict[str, float]]:
        """Take all steps, from wherever the folder's state stands."""
        state = self.state
        if complaint := state.restore(self.folder):
            warnings.warn(complaint, RuntimeWarning, stacklevel=3)
        began, saved = time.monotonic() - state.seconds, time.monotonic()
        with caught_signals() as stopped:
            while not self._finished():
                loss = self._step()
                if self.taken % self.between == 0 or self.taken == self.steps:
                    state.seconds = time.monotonic() - began
                    self._validate()
                if state.step == self.batches:
                    state.epoch, state.step, state.losses = state.epoch + 1, 0, 0.0
                self.report(self._progress(loss))
                if stopped.is_set() or time.monotonic() - saved > _SAVE_EVERY:
                    state.seconds, saved = time.monotonic() - began, time.monotonic()
                    if not state.is_finite():
                        raise self._failed(f"weights are no longer finite in {self._where()}")
                    state.save(self.folder)
                if stopped.is_set():
                    raise Interrupted(f"stopped in epoch {state.epoch + 1}, with the state saved in {self.folder}")
        # Take the norms off, then put in the weights that were folded at the time.
        normalisation.fold(self.network)
        self.network.load_state_dict(state.best)
        self.network.eval()
        return state.history

    @property
    def taken(self) -> int:
        """The number of steps taken so far."""
        return self.state.epoch * self.batches + self.state.step

    def _finished(self) -> bool:
        state = self.state
        if self.steps is not None:
            return self.taken >= self.steps
        assert self.recipe.patience is not None
        best = min(state.history, key=lambda row: row["validation_loss"], default={"epoch": 0})
        return state.epoch - best["epoch"] >= self.recipe.patience

    def _step(self) -> float:
        """Take one step and return its loss."""
        state, size = self.state, self.recipe.batch_size
        step = self.taken
        order = generator(self.settings.seed, "order", state.epoch).permutation(len(self.train.images))
        chosen = order[state.step * size : (state.step + 1) * size]
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, step, self.steps)
        self.network.train()
        with self._autocast():
            count = self.network(self._augmented(chosen, step)).count
        loss = self.objective.loss(count.float(), self._targets_of(chosen))
        value = loss.item()
        if not math.isfinite(value):
            if state.is_finite():
                state.save(self.folder)
                raise self._failed(
                    f"the loss is {value} in {self._where()}", [self.train.ids[index] for index in chosen]
                )
            raise self._failed(f"weights are no longer finite in {self._where()}")
        state.optimizer.zero_grad()
        torch.autograd.backward(loss)
        state.optimizer.step()
        state.losses += value * len(chosen)
        state.step += 1
        return value

    def _validate(self) -> None:
        """Validate, and keep the weights if they are the best so far."""
        state = self.state
        loss = self._validation_loss()
        if not math.isfinite(loss):
            raise self._failed(f"the validation loss is {loss} after step {self.taken}")
        if not state.history or loss < min(row["validation_loss"] for row in state.history):
            network = copy.deepcopy(self.network)
            normalisation.fold(network)
            state.best = network.state_dict()
        state.history.append(
            {
                "epoch": state.epoch + 1,
                "step": self.taken,
                "learning_rate": state.optimizer.param_groups[0]["lr"],
                # Of the images of this epoch so far.
                "train_loss": state.losses / min(state.step * self.recipe.batch_size, len(self.train.images)),
                "validation_loss": loss,
                "seconds": round(state.seconds, 1),
            }
        )

    def _where(self) -> str:
        return f"epoch {self.state.epoch + 1}, step {self.state.step + 1}"

    def _failed(self, what: str, batch: Sequence[str] = ()) -> InputError:
        """Return an error that says what is not finite, and leave the best weights so far to be used."""
        state, best, names = self.state, "", ", ".join(batch[:_NAMED])
        if state.best:
            write_tensors(self.folder / WEIGHTS, state.best)
            epoch = min(state.history, key=lambda row: row["validation_loss"])["epoch"]
            best = f"; {self.folder} holds the best network so far, of epoch {epoch}, as a run folder does"
        more = f" and {len(batch) - _NAMED} more" if len(batch) > _NAMED else ""
        look = f", or look at the values of the images of this batch: {names}{more}" if batch else ""
        return InputError(f"{what}: train anew with a lower learning rate{look}{best}")

    def _validation_loss(self) -> float:
        """Return the loss on the validation images, the norms' statistics being those of the training images."""
        if self.recipe.batch_norm:
            # Of the images as they are: moved ones are blurred by the resampling.
            chunks = _chunks(len(self.train.images), _STATISTICS)
            with self._autocast():
                normalisation.recalibrate(self.network, lambda: (self._images(self.train, chunk) for chunk in chunks))
        self.network.eval()
        with torch.inference_mode(), self._autocast():
            counts = [
                self.network(self._images(self.validation, chunk)).count.float()
                for chunk in _chunks(len(self.validation.images))
            ]
        return self.objective.loss(torch.cat(counts), self._targets(self.validation)).item()

    def _progress(self, loss: float) -> Progress:
        state = self.state
        losses = [row["validation_loss"] for row in state.history] or [math.nan]
        return Progress(self.taken, self.steps, loss, losses[-1], min(losses))

    def _augmented(self, chosen: Indices, step: int) -> Tensor:
        images = self._images(self.train, chosen)
        rng = generator(self.settings.seed, "augmentation", step)
        transforms = augment.sample(rng, len(images), images.ndim - 2, self.settings.augmentation)
        done = step / self.steps if self.steps else 0.0
        if done >= self.recipe.flipped_until:
            transforms = replace(transforms, flip=np.zeros_like(transforms.flip))
        if done >= self.recipe.resampled_until:
            transforms = augment.without_resampling(transforms)
        return augment.apply(images, transforms)

    def _targets_of(self, chosen: Indices) -> Tensor:
        """Return the targets of a batch, under regression with a norm on the pooled features moved to the mean of all.

        That norm makes the mean prediction of every batch the same, so what a batch's mean target says is noise.
        """
        targets = self.targets[chosen]
        if self.recipe.batch_norm and self.settings.objective == "regression":
            targets = targets - targets.mean() + self.targets.mean()
        return targets

    def _images(self, examples: Examples, chosen: Indices) -> Tensor:
        return torch.from_numpy(examples.images.batch(chosen)).to(self.device)

    def _targets(self, examples: Examples) -> Tensor:
        return self.objective.target(torch.tensor(examples.counts, dtype=torch.float32)).to(self.device)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16")


def _chunks(n: int, most: int | None = None) -> list[Indices]:
    """Split n indices, or ``most`` of them from all over (tables are sorted), into even chunks that fit into memory."""
    chosen = np.arange(n) if most is None or n <= most else np.arange(most) * n // most
    return np.array_split(chosen, math.ceil(len(chosen) / _INFERENCE_BATCH))
