"""What commands share: printing, progress bars, and ending with a clear line."""

import functools
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from weakspot.errors import InputError

if TYPE_CHECKING:
    from weakspot.training.settings import Progress

P = ParamSpec("P")
Nonfinite = StrEnum("Nonfinite", ["reject", "zero"])


def among_processes(command: Callable[P, Callable[[], None]]) -> Callable[P, None]:
    """Have a command join the processes that torchrun started with its own, if it did.

    What it returns, the first process does when all have parted.
    """

    @functools.wraps(command)
    def joined(*args: P.args, **kwargs: P.kwargs) -> None:
        from weakspot import processes

        with processes.joined():
            afterwards = command(*args, **kwargs)
            several, first = processes.size() > 1, processes.rank() == 0
        if first:
            afterwards()
        if several:
            # Threads of gloo still hold tensors when the interpreter ends, and abort it (pytorch/pytorch#179291).
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    return joined


def say(line: str) -> None:
    """Print a line of the command's own."""
    print(line, flush=True)


def in_voxels(values: Sequence[float]) -> str:
    """Return a displacement in words."""
    return ", ".join(f"{each:+.1f}" for each in values)


def whole_numbers(option: str, text: str, otherwise: str = "") -> tuple[int, ...]:
    """Return the numbers above 0 that an option gives: one, or one for each axis; ``otherwise``: what else it takes."""
    try:
        numbers = tuple(map(int, text.split(",")))
        if min(numbers) < 1:
            raise ValueError(text)
    except ValueError as error:
        raise InputError(
            f"{option} {text!r}: expected {otherwise}a whole number above 0, or one for each axis, with commas"
        ) from error
    return numbers


def warn(line: str) -> None:
    """Print a line about something that may be wrong."""
    print(f"warning: {line}", file=sys.stderr, flush=True)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show warnings as single lines."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_args, **_kwargs: warn(str(message))
        yield


@contextmanager
def training_bar() -> Iterator[Callable[["Progress"], None]]:
    """Show a training's progress: the losses, and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    if not sys.stderr.isatty():
        yield _line_now_and_then()
        return
    columns = (
        TextColumn("training"),
        BarColumn(),
        TextColumn("step {task.completed:.0f}/{task.total}"),
        TextColumn("{task.fields[losses]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), speed_estimate_period=120) as bar:
        task = bar.add_task("training", total=None, losses="")

        yield lambda progress: bar.update(task, completed=progress.step, total=progress.steps, losses=_losses(progress))


def _losses(progress: "Progress") -> str:
    text = f"loss {progress.loss:.3f}"
    if progress.best == progress.best:  # not NaN
        text += f", validation {progress.validation_loss:.3f} (best {progress.best:.3f})"
    return text


def _line_now_and_then(every: float = 60.0) -> Callable[["Progress"], None]:
    """Return what prints a training's progress as lines, for logs: the first step, then once a minute."""
    first: tuple[float, int] | None = None
    last = 0.0

    def report(progress: "Progress") -> None:
        nonlocal first, last
        now = time.monotonic()
        first = first or (now, progress.step)
        if now - last < every:
            return
        last = now
        line = f"step {progress.step}" + (f"/{progress.steps}" if progress.steps else "") + f" {_losses(progress)}"
        if progress.steps and progress.step > first[1]:
            left = (now - first[0]) / (progress.step - first[1]) * (progress.steps - progress.step)
            line += f", {left / 60:.0f} min left"
        print(line, file=sys.stderr, flush=True)

    return report


@contextmanager
def counting_bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show how many of ``total`` are done; the function that is yielded says that one more is."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder beside ``path`` to fill, and move it into place at the end; it goes if that is not reached."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} exists already: name another folder, or remove it first")
    path = Path(os.path.abspath(path))  # "." has no name
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.mkdir(parents=True)
    try:
        yield draft
        if any(draft.iterdir()):
            os.replace(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_json(path: Path, values: Any) -> None:
    """Write values as JSON, whole or not at all; NaN and infinity, which JSON lacks, become null."""
    from weakspot.files import write_text
    from weakspot.settings import json_ready

    write_text(path, json.dumps(json_ready(values), indent=2, allow_nan=False) + "\n")
