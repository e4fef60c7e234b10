"""The environment a training runs in, kept in its run folder."""

import json
import platform
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

import weakspot
from weakspot.files import write_text

_FILE = "environment.json"
_BITS = ("torch", "processor", "threads", "device")  # what the bytes of a result hang on


def _environment(device: torch.device) -> dict[str, Any]:
    """Return what a result was made with, beside its settings."""
    return {
        "weakspot": weakspot.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def note_environment(folder: Path, device: torch.device) -> None:
    """Write environment.json into the folder of a training that begins."""
    write_text(folder / _FILE, json.dumps(_environment(device), indent=2) + "\n")


def note_change_of_environment(folder: Path, device: torch.device) -> None:
    """Warn of a training that goes on in another environment, and keep both: the result is another to the last bits."""
    path, now = folder / _FILE, _environment(device)
    try:
        then = json.loads(path.read_text(encoding="utf-8"))
        changed = {key: now[key] for key in _BITS if then[key] != now[key]}
    except (OSError, ValueError, KeyError, TypeError):
        return  # of a version that wrote it at the end, or damaged: that says nothing about the state
    if changed:
        said = ", ".join(f"{key} {then[key]} then, {value} now" for key, value in changed.items())
        warnings.warn(
            f"going on in another environment, so not to the same bytes: {said}", RuntimeWarning, stacklevel=3
        )
        write_text(path, json.dumps({**then, "went_on_with": changed}, indent=2) + "\n")
