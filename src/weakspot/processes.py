"""Several processes that train one network, as torchrun starts them; one alone has nothing to share."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from weakspot.errors import InputError


def rank() -> int:
    """Return this process's number; process 0 writes and reports."""
    return dist.get_rank() if _several() else 0


def size() -> int:
    """Return how many processes there are."""
    return dist.get_world_size() if _several() else 1


def on_this_machine() -> int:
    """Return how many of them share this machine's cores."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if _several() else 1


def _several() -> bool:
    return dist.is_available() and dist.is_initialized()


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that torchrun started with this one, for as long as they work together; else do nothing.

    They speak through NCCL where each has a GPU of its own, else through gloo. Tensors are shared on the device that
    they are on.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    local, here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    on_gpus = torch.cuda.is_available() and torch.cuda.device_count() >= here and dist.is_nccl_available()
    if on_gpus:
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if on_gpus else "gloo")
    try:
        yield
        dist.barrier()  # none leaves while another still speaks to it
    except RuntimeError as error:
        if "Connection closed by peer" not in str(error):
            raise
        raise InputError(f"process {local} stopped, as another one did: see what that one says") from error
    finally:
        dist.destroy_process_group()


def add_up(*tensors: Tensor) -> None:
    """Replace each process's tensors by their sums over all processes, in one exchange."""
    if size() == 1 or not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


def align(*tensors: Tensor) -> None:
    """Replace each process's tensors by those of process 0."""
    if size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def wait() -> None:
    """Go on when all processes are here."""
    if size() > 1:
        dist.barrier()


def first(work: Callable[[], None]) -> None:
    """Do something in process 0 alone, and wait for it in all others."""
    if rank() == 0:
        work()
    wait()
