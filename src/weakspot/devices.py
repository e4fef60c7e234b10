"""Where to compute, and how precisely."""

import contextlib
import ctypes
import os
from pathlib import Path

import torch

from weakspot.errors import InputError

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name; "auto" is the accelerator if there is one, else the CPU."""
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"no device {name!r}: expected auto, cpu, cuda, cuda:1 or mps") from error
    try:
        torch.zeros(1, device=device).item()
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


def available_memory(device: torch.device) -> float:
    """Return the bytes that a device has left: of the CPU's, what the system and this process's limits (cgroup) leave.

    Where the system does not tell (elsewhere than on Linux), half of the memory that is built in.
    """
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2 if hasattr(os, "sysconf") else float("inf")
    left = next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    groups = Path("/sys/fs/cgroup")
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):  # no such limit
            left = min(left, float((groups / most).read_text()) - float((groups / used).read_text()))
    return left


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory does not suffice."""
    known = ("can't allocate memory", "not enough memory", "could not create a memory")  # PyTorch's and oneDNN's
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(text in str(error) for text in known)


def use_cpu(threads: int | None = None, keep_memory: bool = True) -> None:
    """Use that many CPU threads, and keep freed memory for the next tensors.

    Unless given, as many as the environment's OMP_NUM_THREADS asks for, or one a core.

    glibc gives every tensor of some megabytes back to the system when it is freed, and the next one starts with pages
    that the kernel must clear first: a fifth of a 2D training step. Elsewhere than on glibc nothing is changed.
    With large volumes, of which a process makes few, that gains little and takes up to half as much memory again, for
    the gaps between tensors: not with ``keep_memory=False``.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # of nested regions, the outermost
    torch.set_num_threads(threads or (asked.isdecimal() and int(asked)) or cores())
    if not keep_memory:
        return
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
