"""Run folders: a training from start to delivered network, complete or absent."""

import csv
import hashlib
import io
import json
import math
import operator
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

import weakspot
from weakspot import processes
from weakspot.attention.methods import DEFAULT_METHOD
from weakspot.data.images import SCALES, highest_value, scaled
from weakspot.data.shrinking import factors_for, shrunk
from weakspot.devices import is_out_of_memory
from weakspot.errors import InputError
from weakspot.files import write_text
from weakspot.networks import NetworkSettings
from weakspot.networks.blocks import Head
from weakspot.settings import differences, from_dict, to_dict
from weakspot.training.displaced import displaced_if_memory_allows
from weakspot.training.environment import note_change_of_environment, note_environment
from weakspot.training.fit import fit
from weakspot.training.objectives import choose_objective, constant_loss
from weakspot.training.settings import Examples, FitSettings, Progress, fingerprint
from weakspot.training.state import WEIGHTS, write_tensors

FORMAT = 1
_SETTINGS, _LOG = "settings.json", "log.csv"


@dataclass(frozen=True, eq=False)
class Run:
    """A trained network with how it came about.

    Attributes
    ----------
    network : in evaluation mode, on the CPU
    architecture : what it was built from
    objective : a key of `weakspot.training.objectives.OBJECTIVES`
    shape : spatial shape of the training images as the network sees them, which a predicted count refers to
    settings : all of ``settings.json``
    """

    network: nn.Module
    architecture: NetworkSettings
    objective: str
    shape: tuple[int, ...]
    settings: dict[str, Any]

    @property
    def displaced_vox(self) -> tuple[float, ...] | None:
        """How far detections in maps of the network's own method lie off (dims,), `weakspot.training.displaced`.

        Measured on the validation images when the training was complete. None where it is not known: mirrored images
        did not tell, as in trainings without flips, or memory did not suffice.
        """
        told = self.settings.get("result", {}).get("displaced_vox")
        return None if told is None else tuple(map(float, told))

    @property
    def highest_value(self) -> float | None:
        """The highest value of the training images, as the network saw them; None in runs that do not tell."""
        told = self.settings.get("result", {}).get("highest_value")
        return None if told is None else float(told)

    @property
    def validation_ids(self) -> frozenset[str]:
        """The ids of the images that the network was validated on; none in runs that do not tell."""
        return frozenset(self.settings.get("result", {}).get("validation_ids", ()))

    @property
    def shrink(self) -> tuple[int, ...]:
        """By how much images are shrunk along each axis (dims,) before the network sees them."""
        return tuple(self.settings.get("data", {}).get("shrink", (1,) * self.architecture.dims))

    def ready(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Return an image as the network sees it, shrunk and scaled, or refuse it.

        Parameters
        ----------
        image : (channels, *spatial), as stored

        Raises
        ------
        InputError
            Of other channels or dimensions; floats more than 50 times as high as the training images (0-255, not 0-1).
            Integers have a scale of their own, and any image may be dark.
        """
        given, expected = (image.ndim - 1, len(image)), (self.architecture.dims, self.architecture.in_channels)
        if given != expected:
            raise InputError(
                f"{given[0]}D with {given[1]} channels, and the network was trained in {expected[0]}D with "
                f"{expected[1]} channels: convert the image"
            )
        image = shrunk(image, self.shrink)
        known = self.highest_value
        if (
            known is not None
            and known > 0
            and image.dtype.kind == "f"
            and (value := highest_value(image)) > SCALES * known
        ):
            raise InputError(
                f"its values go up to {value:.4g}, those of the training images to {known:.4g}: bring it to their "
                "scale (floats are taken as they are, integers are divided by the largest of their type)"
            )
        return scaled(image)


def train(
    out: Path,
    architecture: NetworkSettings,
    training: Examples,
    validation: Examples,
    settings: FitSettings,
    device: torch.device | str = "cpu",
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
    init_from: Run | None = None,
    shrink: Sequence[int] | None = None,
) -> Run:
    """Train a network into the folder ``out``, which appears when it is complete.

    Until then the state is kept in ``out`` with ``.partial`` at its end.

    Parameters
    ----------
    out : the run folder
    architecture, training, validation, settings, device, report : see `weakspot.training.fit.fit`
    resume : go on with what was cut off, if anything was; a complete run of the same settings and data is read
    init_from : a trained run of the same architecture, whose weights to begin with
        Where counts are means over images times their size, the head's weights grow with the size of the images.
    shrink : by how much the images were shrunk, if they were, one factor or (dims,); kept for `Run.ready`

    Raises
    ------
    InputError
        If ``out`` is there already; if something was cut off and ``resume`` is not set, or what is there was begun
        with other settings or data; if another process trains into it; if memory does not suffice; and as `fit` does.
    """
    partial = check_free(out, resume)
    choose_objective(settings.objective)
    network = architecture.build()
    shape = training.images.batch(np.arange(1)).shape[2:]
    start = None if init_from is None else _start(init_from, architecture, settings, shape)
    described: dict[str, Any] = {
        "format": FORMAT,
        "weakspot": weakspot.__version__,
        "network": to_dict(architecture),
        "fit": to_dict(settings),
        "data": {
            "shape": list(shape),
            "training": len(training.images),
            "validation": len(validation.images),
            "fingerprint": fingerprint(training, validation),
        },
    }
    if shrink is not None and max(shrink) > 1:
        described["data"]["shrink"] = list(factors_for(shrink, architecture.dims))
    if start is not None:
        described["init_from"] = hashlib.sha256(
            b"".join(each.numpy().tobytes() for each in start.values())
        ).hexdigest()[:16]
    if is_complete(out):
        run = load(out)
        _hold_against(out, run.settings, described)
        return run
    fresh = not partial.exists()
    processes.wait()  # until all have seen that it is free
    processes.first(lambda: partial.mkdir(parents=True, exist_ok=True))
    lock = _alone(partial) if processes.rank() == 0 else nullcontext()
    try:
        with lock:
            processes.first(lambda: _begin(partial, described, torch.device(device)))
            history = fit(network, training, validation, settings, partial, device, report, start)
            best = min(history, key=lambda row: row["validation_loss"])
            described["result"] = {name: best[name] for name in ("epoch", "validation_loss")}
            described["result"]["constant_loss"] = constant_loss(settings.objective, training.counts, validation.counts)

            def complete() -> None:
                method = DEFAULT_METHOD[architecture.name]
                told = displaced_if_memory_allows(network, method, settings, validation, shape)
                described["result"] |= {"displaced_vox": told, "highest_value": training.highest_value()}
                described["result"]["validation_ids"] = list(validation.ids)
                _finish(partial, network.to("cpu"), described, history)

            processes.first(complete)
    except Timeout:
        raise _taken(out) from None
    except (InputError, MemoryError, RuntimeError) as error:
        if fresh:
            processes.first(lambda: _clear(partial))
        if not is_out_of_memory(error):
            raise
        raise InputError(
            f"out of memory in a step with {settings.at_once or settings.recipe.batch_size} image(s) of "
            f"{'x'.join(map(str, shape))} at once: take fewer (--at-once), smaller images, or a smaller --width"
        ) from error
    processes.first(lambda: _deliver(partial, out))
    return Run(network, architecture, settings.objective, tuple(shape), described)


def _start(
    trained: Run, architecture: NetworkSettings, settings: FitSettings, shape: Sequence[int]
) -> dict[str, torch.Tensor]:
    """Return a trained run's weights for images of another size."""
    one, other = trained.architecture.build(), architecture.build()
    shapes = [{name: tuple(each.shape) for name, each in net.state_dict().items()} for net in (one, other)]
    if (
        trained.architecture.name != architecture.name
        or shapes[0] != shapes[1]
        or trained.objective != settings.objective
    ):
        raise InputError(
            f"the network to begin with is {_named(trained.architecture)} for {trained.objective}, and "
            f"{_named(architecture)} for {settings.objective} is to be trained: choose the same"
        )
    weights = {name: value.clone() for name, value in trained.network.state_dict().items()}
    head = other.get_submodule("head")
    assert isinstance(head, Head)
    if settings.objective == "regression" and head.pool == "mean":
        weights["head.weight"] *= math.prod(shape) / math.prod(trained.shape)
    return weights


def _named(architecture: NetworkSettings) -> str:
    width = "" if architecture.width is None else f" of width {architecture.width}"
    return f"{architecture.name}{width} in {architecture.dims}D with {architecture.in_channels} channel(s)"


def _deliver(partial: Path, out: Path) -> None:
    """Move a complete run folder into place."""
    partial.rename(out)
    # What could still resume it goes last.
    for name in ("state.safetensors", "state.previous.safetensors", "lock"):
        (out / name).unlink(missing_ok=True)


def check_free(out: Path, resume: bool = False) -> Path:
    """Refuse a folder that is there already, unless it is empty, or a run, half done or complete, is to be resumed.

    Returns where the state is kept until the training is complete.
    """
    out = Path(os.path.abspath(out))  # "." has no name
    if not out.name:
        raise InputError(f"{out} is no place for a run folder: name a new one")
    partial = out.with_name(out.name + ".partial")
    empty = out.is_dir() and not any(out.iterdir()) and out != Path.cwd()
    if out.exists() and not empty and not (resume and is_complete(out)):
        raise InputError(f"{out} exists already: name another folder, or remove it first")
    above = next(parent for parent in partial.parents if parent.exists())
    if not above.is_dir():
        raise InputError(f"{out} cannot be made: {above} is a file, not a folder")
    if partial.exists() and not resume:
        try:
            with _alone(partial):
                pass
        except Timeout:
            raise _taken(out) from None
        raise InputError(f"a training into {out} was cut off: go on with --resume, or remove {partial}")
    return partial


def _alone(partial: Path) -> FileLock:
    """Return what no two trainings into a folder hold."""
    return FileLock(partial / "lock", timeout=0)


def _taken(out: Path) -> InputError:
    return InputError(f"another process is training into {out}: wait for it, or name another folder")


def is_complete(out: Path) -> bool:
    """Return whether a folder looks like one that a training has moved into place."""
    return (out / _SETTINGS).exists()


def _clear(partial: Path) -> None:
    """Remove what a training left that failed before there was anything to go on with."""
    if not any(partial.glob("*.safetensors")):
        shutil.rmtree(partial, ignore_errors=True)


def load(folder: Path) -> Run:
    """Read a run folder.

    Raises
    ------
    InputError
        If it is not one, is not complete, comes from a newer version, or is damaged.
    """
    if not (folder / _SETTINGS).exists():
        partial = folder.with_name(folder.name + ".partial")
        hint = ": its training was cut off, go on with --resume" if partial.exists() else ""
        raise InputError(f"{folder} is no run folder: expected {_SETTINGS} in it, as 'weakspot train' leaves it{hint}")
    try:
        described = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
        version = described["format"]
        if version > FORMAT:
            raise InputError(
                f"{folder} was written by weakspot {described.get('weakspot')} in format {version}, and this is "
                f"weakspot {weakspot.__version__}, which reads up to format {FORMAT}: update weakspot"
            )
        architecture = from_dict(NetworkSettings, described["network"], f"{folder / _SETTINGS}: network")
        network = architecture.build()
        network.load_state_dict(load_file(folder / WEIGHTS))
        objective, shape = described["fit"]["objective"], tuple(map(operator.index, described["data"]["shape"]))
        choose_objective(objective)
        if len(shape) != architecture.dims or min(shape) < 1:
            raise ValueError(f"images of shape {shape} in {architecture.dims}D")
        run = Run(network.eval(), architecture, objective, shape, described)
        if run.displaced_vox is not None and len(run.displaced_vox) != architecture.dims:
            raise ValueError(f"maps displaced by {run.displaced_vox} in {architecture.dims}D")
        if run.highest_value is not None and not math.isfinite(run.highest_value):
            raise ValueError(f"training images up to {run.highest_value}")
        if len(run.shrink) != architecture.dims or min(map(operator.index, run.shrink)) < 1:
            raise ValueError(f"images shrunk by {run.shrink} in {architecture.dims}D")
    except PermissionError as error:
        raise InputError(f"{error.filename or folder} may not be read by this user: ask its owner for leave") from error
    except InputError:
        raise
    except FileNotFoundError as error:
        unfinished = ": its training was not finished" if folder.suffix == ".partial" else ", which is damaged"
        raise InputError(f"{error.filename or WEIGHTS} is missing in the run folder {folder}{unfinished}") from error
    except (OSError, KeyError, TypeError, ValueError, SafetensorError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"{folder} is a damaged run folder ({reason}): train again, or copy it again") from error
    return run


def _begin(partial: Path, described: dict[str, Any], device: torch.device) -> None:
    """Write settings and environment of a new training, or hold those of the one that is resumed against them."""
    path = partial / _SETTINGS
    if path.exists():
        try:
            begun = json.loads(path.read_text(encoding="utf-8"))
            begun_by = begun.get("begun_by", begun["weakspot"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is damaged ({error!r}): remove {partial}, and train anew") from error
        if begun_by != described["weakspot"]:
            described["begun_by"] = begun_by  # a new version does not cost the work
        _hold_against(partial, begun, described)
        note_change_of_environment(partial, device)
        return
    note_environment(partial, device)
    write_text(path, json.dumps(described, indent=2) + "\n")


def _hold_against(folder: Path, begun: dict[str, Any], described: dict[str, Any]) -> None:
    """Refuse to go on with what was begun with other settings or data."""
    # The format of what is kept, not the version, decides whether it can be gone on with. There is a result where a
    # training was cut off after its last step, or not at all.
    one, other = ({**each, "weakspot": None, "begun_by": None, "result": None} for each in (begun, described))
    if changed := sorted(differences(one, json.loads(json.dumps(other)))):
        raise InputError(
            f"{folder} was begun with another {', '.join(changed)}: resume with the same, or train into another folder"
        )


def _finish(
    partial: Path,
    network: nn.Module,
    described: dict[str, Any],
    history: list[dict[str, float]],
) -> None:
    """Write what a complete run folder holds."""
    write_tensors(partial / WEIGHTS, network.state_dict())
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, history[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(partial / _LOG, table.getvalue())
    write_text(partial / _SETTINGS, json.dumps(described, indent=2) + "\n")
