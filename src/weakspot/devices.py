"""Where to compute, and how precisely."""

import contextlib
import ctypes
import os

import torch

from weakspot.errors import InputError

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name; "auto" is the accelerator if there is one, else the CPU."""
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} cannot be used ({str(error).splitlines()[0]}): try --device cpu") from error
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """Return "float32" or "bfloat16"; "auto" mixes in bfloat16 on a GPU that has it, and never on the CPU.

    On a CPU the gain hangs on its instructions, and float32 gives the same bytes on more machines.
    """
    if name == "auto":
        return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported(False) else "float32"
    if name not in ("float32", "bfloat16"):
        raise InputError(f"precision {name!r}: choose auto, float32 or bfloat16")
    return name


def cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_cpu(threads: int | None = None) -> None:
    """Use that many CPU threads, one a core unless given, and keep freed memory for the next tensors.

    glibc gives every tensor of some megabytes back to the system when it is freed, and the next one starts with pages
    that the kernel must clear first: a fifth of a 2D training step. Elsewhere than on glibc nothing is changed.
    """
    torch.set_num_threads(threads or cores())
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
