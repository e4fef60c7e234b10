"""Fitting a network to counts."""

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from weakspot import processes
from weakspot.data import augment
from weakspot.errors import InputError
from weakspot.networks import normalisation
from weakspot.seeding import generator
from weakspot.training.initial import fit_head, initialise, let_go_of_bias
from weakspot.training.interrupt import Interrupted, caught_signals
from weakspot.training.objectives import OBJECTIVES
from weakspot.training.optimizers import OPTIMIZERS, learning_rate
from weakspot.training.settings import Examples, FitSettings, Progress
from weakspot.training.state import WEIGHTS, State, write_tensors

_SAVE_EVERY = 30.0  # seconds
_INFERENCE_BATCH, _INFERENCE_VOXELS = 50, 1_500_000  # images and voxels at once, at most
_BETWEEN = 250  # steps, at most, between validations: epochs of large cohorts are long
# Training images, at most, that the norms' statistics are taken from: fewer of large volumes, but enough for a mean.
_STATISTICS, _STATISTICS_LEAST, _STATISTICS_VOXELS = 2000, 200, 100_000_000
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
    start: Mapping[str, Tensor] | None = None,
) -> list[dict[str, float]]:
    """Fit a network to the counts; it ends with the weights of the lowest validation loss, norms folded away.

    The order of the images and their augmentation are functions of the seed, the epoch and the step: a training that
    was cut off goes on from the state in ``folder`` to the same weights, on the CPU to the same bytes. SIGTERM and
    SIGINT end it after the running step.

    Several processes (see `weakspot.processes`) call this alike. Each takes its share of every batch, and all end with
    the network that one process would have, up to the order of sums.

    Parameters
    ----------
    network : of `weakspot.networks.build`
        Its weights are drawn anew, unless ``start`` gives them.
    train, validation : what to learn from, and what to choose the weights by
    settings : how
    folder : an existing folder
        Holds the state while the training lasts; where it holds one, the training goes on from there.
    device : where to compute
    report : called after every step, in the first process
    start : weights of a trained network to go on from

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
    return _Fit(network, train, validation, settings, folder, torch.device(device), report, start).run()


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
        start: Mapping[str, Tensor] | None,
    ) -> None:
        self.train, self.validation, self.settings = train, validation, settings
        self.folder, self.device, self.report = folder, device, report
        self.recipe, self.objective = settings.recipe, OBJECTIVES[settings.objective]
        self.network = network.to(device)
        self.shape = train.images.batch(np.arange(1)).shape[2:]  # once, as it takes decoding an image
        self._begin(start)
        optimizer = OPTIMIZERS[self.recipe.optimizer](network.parameters(), self.recipe)
        self.state = State(network, optimizer)
        self.batches = math.ceil(len(train.images) / self.recipe.batch_size)  # an epoch
        self.steps = self.recipe.steps
        self.between = min(self.recipe.validate_every * self.batches, _BETWEEN)
        self.targets = self._targets(train)
        self.alike = False  # whether the last validation found the same count in all images

    def _begin(self, start: Mapping[str, Tensor] | None) -> None:
        """Give the network its first weights and norms."""
        self.network.eval()  # nothing in it hangs on the mode, and what is delivered is in this one
        if start is None:
            initialise(self.network, self.settings, self.train.counts)
        else:
            self.network.load_state_dict(start)
        if self.recipe.standardise:
            attach = normalisation.standardise if start is None else normalisation.attach_to_trained
            attach(self.network, self._some_images)
            if not all(bool(torch.isfinite(value).all()) for value in self.network.state_dict().values()):
                each = (self.train.images.batch(np.array([index])) for index in range(len(self.train.ids)))
                most = [float(np.abs(image).max()) for image in each]
                raise InputError(
                    "the features of the training images are not finite: look at the images' values, the largest of "
                    f"which is {max(most):.3g}, in image {self.train.ids[int(np.argmax(most))]}"
                )
            if start is not None and self.settings.objective == "regression":
                chosen = np.concatenate(self._some_chunks())
                fit_head(self.network, self._some_images(), self.train.counts[chosen])
            let_go_of_bias(self.network, self.settings)

    def run(self) -> list[dict[str, float]]:
        """Take all steps, from wherever the folder's state stands."""
        state = self.state
        if complaint := state.restore(self.folder):
            warnings.warn(complaint, RuntimeWarning, stacklevel=3)
        processes.align(*self.network.state_dict().values())
        began, saved = time.monotonic() - state.seconds, time.monotonic()
        with caught_signals() as stopped:
            while not self._finished():
                loss = self._step()
                if self.taken % self.between == 0 or self.taken == self.steps:
                    state.seconds = time.monotonic() - began
                    self._validate()
                if state.step == self.batches:
                    state.epoch, state.step, state.losses = state.epoch + 1, 0, 0.0
                if processes.rank() == 0:
                    self.report(self._progress(loss))
                stop = self._any_process(stopped.is_set())
                if stop or self._any_process(time.monotonic() - saved > _SAVE_EVERY):
                    state.seconds, saved = time.monotonic() - began, time.monotonic()
                    processes.first(lambda: state.save(self.folder))
                if stop:
                    raise Interrupted(f"stopped in epoch {state.epoch + 1}, with the state saved in {self.folder}")
        processes.first(lambda: state.save(self.folder))  # what comes then may fail or be cut off
        if self.alike and processes.rank() == 0:
            warnings.warn(
                "the network gives every validation image the same count: it has died; train with a lower learning "
                "rate, or another seed, into another folder",
                RuntimeWarning,
                stacklevel=3,
            )
        # Take the norms off, then put in the weights that were folded at the time.
        normalisation.fold(self.network)
        self.network.load_state_dict(state.best)
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
        state.optimizer.zero_grad()
        value = self._backward(chosen, step)
        before, wrong = {name: tensor.clone() for name, tensor in state.current().items()}, ""
        if not math.isfinite(value):
            wrong = f"the loss is {value} in {self._where()}"
        else:
            state.optimizer.step()
            if not state.is_finite():
                state.put(before)
                wrong = f"the weights would not be finite after {self._where()}"
        if wrong:
            processes.first(lambda: state.save(self.folder))
            raise self._failed(wrong, [self.train.ids[index] for index in chosen])
        state.losses += value * len(chosen)
        state.step += 1
        return value

    def _backward(self, chosen: Indices, step: int) -> float:
        """Add up the gradients of a batch's loss, a part of it after the other, and return the loss.

        Sums of parts are in float64: rounded to float32 they are the same however the parts are shared out.
        """
        rng = generator(self.settings.seed, "augmentation", step)
        transforms = augment.sample(rng, len(chosen), len(self.shape), self.settings.augmentation)
        targets = self.targets[chosen]
        own = np.arange(len(chosen))[processes.rank() :: processes.size()]
        exact = torch.float32 if self.device.type == "mps" else torch.float64  # which MPS lacks
        weights = list(self.network.parameters())
        value, *sums = (torch.zeros_like(each, dtype=exact) for each in (torch.zeros((), device=self.device), *weights))
        for part in np.array_split(own, max(1, math.ceil(len(own) / (self.settings.at_once or len(chosen))))):
            with self._autocast():
                count = self.network(self._moved(self._images(self.train, chosen[part]), transforms[part], step)).count
            # A process may have no image of a batch: nothing, but gradients of it.
            loss = self.objective.loss(count.float(), targets[part]) if len(part) else count.float().sum()
            loss = loss * (len(part) / len(chosen))
            torch.autograd.backward(loss)
            value += loss.detach()
            for weight, total in zip(weights, sums, strict=True):
                if weight.grad is not None:
                    total += weight.grad
                    weight.grad = None
        processes.add_up(value, *sums)
        for weight, total in zip(weights, sums, strict=True):
            weight.grad = total.to(weight.dtype)
        return value.item()

    def _any_process(self, so: bool) -> bool:
        """Return whether something is so in any process; all get the same answer."""
        if processes.size() == 1:
            return so
        said = torch.tensor(float(so), device=self.device)
        processes.add_up(said)
        return bool(said)

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
            processes.first(lambda: write_tensors(self.folder / WEIGHTS, state.best))
            epoch = min(state.history, key=lambda row: row["validation_loss"])["epoch"]
            best = f"; {self.folder} holds the best network so far, of epoch {epoch}, as a run folder does"
        more = f" and {len(batch) - _NAMED} more" if len(batch) > _NAMED else ""
        look = f", or look at the values of the images of this batch: {names}{more}" if batch else ""
        return InputError(f"{what}: train with a lower learning rate into another folder{look}{best}")

    def _validation_loss(self) -> float:
        """Return the loss on the validation images."""
        counts = torch.zeros(len(self.validation.images), device=self.device)
        with torch.inference_mode(), self._autocast():
            for chunk in self._chunks(self.validation)[processes.rank() :: processes.size()]:
                counts[chunk] = self.network(self._images(self.validation, chunk)).count.float()
        processes.add_up(counts)
        self.alike = len(counts) > 1 and bool((counts == counts[0]).all())
        return self.objective.loss(counts, self._targets(self.validation)).item()

    def _some_images(self) -> Iterator[Tensor]:
        """Yield training images for the statistics of norms."""
        return (self._images(self.train, chunk) for chunk in self._some_chunks())

    def _some_chunks(self) -> list[Indices]:
        most = min(_STATISTICS, max(_STATISTICS_LEAST, _STATISTICS_VOXELS // math.prod(self.shape)))
        return self._chunks(self.train, most)

    def _chunks(self, examples: Examples, most: int | None = None) -> list[Indices]:
        size = min(_INFERENCE_BATCH, max(1, _INFERENCE_VOXELS // math.prod(self.shape)))
        return _chunks(len(examples.images), most, size)

    def _progress(self, loss: float) -> Progress:
        state = self.state
        losses = [row["validation_loss"] for row in state.history] or [math.nan]
        return Progress(self.taken, self.steps, loss, losses[-1], min(losses))

    def _moved(self, images: Tensor, transforms: augment.Transforms, step: int) -> Tensor:
        """Return the images moved as far as is still done at this step."""
        done = step / self.steps if self.steps else 0.0
        if done >= self.recipe.flipped_until:
            transforms = replace(transforms, flip=np.zeros_like(transforms.flip))
        if done >= self.recipe.resampled_until:
            transforms = augment.without_resampling(transforms)
        return augment.apply(images, transforms)

    def _images(self, examples: Examples, chosen: Indices) -> Tensor:
        return torch.from_numpy(examples.images.batch(chosen)).to(self.device)

    def _targets(self, examples: Examples) -> Tensor:
        return self.objective.target(torch.tensor(examples.counts, dtype=torch.float32)).to(self.device)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16")


def _chunks(n: int, most: int | None = None, size: int = _INFERENCE_BATCH) -> list[Indices]:
    """Split n indices, or ``most`` of them from all over (tables are sorted), into even chunks of at most ``size``."""
    chosen = np.arange(n) if most is None or n <= most else np.arange(most) * n // most
    return np.array_split(chosen, math.ceil(len(chosen) / size))
