"""The state of an unfinished training, in one file that is always whole."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from weakspot.files import write_atomically

_PROGRESS = ("epoch", "step", "losses", "seconds", "history")
WEIGHTS = "weights.safetensors"
_NAME, _PREVIOUS = "state.safetensors", "state.previous.safetensors"


@dataclass
class State:
    """Where a training stands: all that it needs to go on to the same bytes.

    Attributes
    ----------
    network, optimizer : what is being fitted, and with what
    best : weights of the best validation loss so far, as delivered (without norms); empty before the first
    epoch, step : the next step to take, and the epoch that it is in
    losses : sum of the losses of the epoch's images so far
    seconds : time spent training
    history : one row a validation
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    best: dict[str, Tensor] = field(default_factory=dict)
    epoch: int = 0
    step: int = 0
    losses: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def is_finite(self) -> bool:
        """Return whether all weights and statistics are numbers: no other state may take the place of a good one."""
        return bool(torch.stack([torch.isfinite(value).all() for value in self.network.state_dict().values()]).all())

    def current(self) -> dict[str, Tensor]:
        """Return the weights and what the optimizer remembers, not copied."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in values.items()}
        return tensors

    def put(self, tensors: Mapping[str, Tensor]) -> None:
        """Put the tensors of `current` where they belong."""
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "optimizer": {}}
        for key, value in tensors.items():
            part, name = key.split(".", 1)
            parts[part][name] = value
        self.network.load_state_dict(parts["network"])
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in parts["optimizer"].items():
            index, name = key.split(".", 1)
            states.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": states})

    def save(self, folder: Path) -> None:
        """Write the state, keeping the one before it."""
        tensors = self.current() | {f"best.{name}": value for name, value in self.best.items()}
        metadata = {"progress": json.dumps({name: getattr(self, name) for name in _PROGRESS})}
        path = folder / _NAME
        if path.exists():
            path.replace(folder / _PREVIOUS)
        write_tensors(path, tensors, metadata)

    def restore(self, folder: Path) -> str | None:
        """Take on the newest whole state in the folder, if there is one.

        Returns
        -------
        str or None
            What was wrong where a file could not be read and the one before it, or the start, had to do.
        """
        complaint = None
        for name in (_NAME, _PREVIOUS):
            if not (path := folder / name).exists():
                continue
            try:
                with safe_open(path, framework="pt") as file:
                    progress = json.loads(file.metadata()["progress"])
                    tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                best = {name: tensors.pop(name) for name in list(tensors) if name.startswith("best.")}
                self.put(tensors)
            except (OSError, SafetensorError, TypeError, KeyError, ValueError, RuntimeError) as error:
                complaint = complaint or f"{path} is damaged ({error}): going on from "
                continue
            self.best = {name.removeprefix("best."): value for name, value in best.items()}
            for key in _PROGRESS:
                setattr(self, key, progress[key])
            return complaint and complaint + "the state before it"
        return complaint and complaint + "the start"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors, whole or not at all; equal ones give equal bytes, whatever their layout."""
    content = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, metadata)
    # safetensors' own save_file leaves files that nobody else may read.
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
