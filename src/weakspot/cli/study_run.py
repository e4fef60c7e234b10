"""What the commands of ``weakspot study`` share: running units, listing them, and what is said meanwhile."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from weakspot.studies.units import Outcome, Place, Unit

Scheduler = Annotated[str | None, typer.Option(help="Address of a Dask scheduler, tcp://host:8786.")]
SchedulerFile = Annotated[Path | None, typer.Option(help="The file that a Dask scheduler wrote.")]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Units at once on this machine; unless given what the cores hold, one with a GPU. 0: in this process.",
    ),
]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads of each unit.")]
Seeds = Annotated[int, typer.Option(min=1, help="Trainings of each network.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda ...")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the units, what is done and the time left.")]
Report = Annotated[bool, typer.Option("--report", help="Only write tables, figures and page of what is done.")]
Page = Annotated[Path | None, typer.Option(help="Where the page goes, remembered; at first report.md in --out.")]
Width = Annotated[int | None, typer.Option(min=1, hidden=True, help="Filters of the first scale.")]


def check_options(
    dry_run: bool, report: bool, workers: int | None, scheduler: str | None, scheduler_file: Path | None
) -> None:
    """Refuse workers here beside a scheduler's, and to write a report while nothing is to be written."""
    from weakspot.errors import InputError

    if dry_run and report:
        raise InputError("--dry-run writes nothing, and --report writes what is done: give one of them")

    if (scheduler or scheduler_file) and workers is not None:
        raise InputError("--workers are started on this machine; with a scheduler, start workers there")


def conduct(
    units: "list[Unit]",
    place: "Place",
    settings: Any,
    dry_run: bool,
    workers: int | None,
    scheduler: str | None,
    scheduler_file: Path | None,
    threads: int,
    device: str,
) -> "list[Outcome]":
    """Run the units that are not done and return what failed, or only list them; on a GPU one at a time unless told."""
    from weakspot.devices import choose_device, cores
    from weakspot.settings import to_dict

    own = max(cores() // threads, 1) if choose_device(device).type == "cpu" else 1
    at_once = own if workers is None else workers
    if dry_run:
        place.check(to_dict(settings))
        _list(units, place, max(at_once, 1))
        return []
    place.begin(to_dict(settings))
    with place.alone():
        return _run(units, place, at_once, scheduler, scheduler_file, threads)


def finish(
    units: "list[Unit]",
    place: "Place",
    failed: "list[Outcome]",
    report: bool,
    page: Path | None,
    write_report: "Callable[[Place, Path | None], str]",
) -> None:
    """Write down what is done, if anything is evaluated or a report is asked for, and say what failed.

    Raises
    ------
    InputError
        Lists the units that failed, each with its reason.
    """
    from weakspot.cli.console import say
    from weakspot.errors import InputError
    from weakspot.studies.units import done

    unwritten = ""
    if report or any(done(unit, place) for unit in units if unit.name.startswith("evaluate")):
        try:
            say(write_report(place, page and page.absolute()))
        except OSError as error:
            if not failed:
                raise
            unwritten = f", and the report is not written ({error})"
    if failed:
        reasons = "\n".join(f"  {each.name}: {str(each.error).splitlines()[0]}" for each in failed)
        raise InputError(
            f"{len(failed)} of {len(units)} units failed{unwritten}; the same command tries them again\n{reasons}"
        )


def _run(
    units: "list[Unit]", place: "Place", workers: int, scheduler: str | None, scheduler_file: Path | None, threads: int
) -> "list[Outcome]":
    """Run what is not done, and return what failed."""
    from weakspot.cli.console import say
    from weakspot.studies.runner import cluster, run_here, run_on
    from weakspot.studies.units import notes, pending
    from weakspot.training.interrupt import Interrupted

    todo = pending(units, place)
    for line in [*notes(units, place), f"{len(units)} units, {len(todo)} to run"]:
        say(line)
    if not todo:
        return []
    try:
        with _bar(todo, place) as look:
            if not workers and not scheduler and not scheduler_file:
                outcomes = run_here(todo, place, look, threads)
            else:
                with cluster(workers, scheduler, scheduler_file) as client:
                    outcomes = run_on(client, todo, place, look, threads, say)
    except (Interrupted, KeyboardInterrupt) as interrupted:
        raise Interrupted(
            "interrupted; the same command goes on, and with --report it writes what is done so far"
        ) from interrupted
    return [each for each in outcomes if each.error]


def _list(units: "list[Unit]", place: "Place", workers: int) -> None:
    """Print every unit, where it stands, and the time left."""
    from weakspot.cli.console import say
    from weakspot.studies.units import done, notes, pending, seconds_of

    left = seconds_of(todo := pending(units, place), place)
    for line in notes(units, place):
        say(line)
    for unit in units:
        status, seconds = place.status(unit), left.get(unit.name)
        state = "to do"
        if unit.name not in left:
            state = "done"
        elif status.get("state") == "failed":
            state = f"failed: {status['reason'].splitlines()[0]}"
        elif status.get("state") == "running":
            state = f"begun, {status['part']:.0%}"
        elif done(unit, place):
            state = "again: what it makes is not here"
        say(f"{unit.name:60} {state}" + ("" if seconds is None else f", {_duration(seconds)}"))
    known = [seconds for seconds in left.values() if seconds is not None]
    say(f"\n{len(units)} units: {len(units) - len(todo)} done, {len(todo)} to run")
    if len(known) < len(left):
        say("time left: unknown, until one training and one evaluation are measured")
    else:
        seconds = max(sum(known) / workers, *known, 0.0)
        say(f"time left: about {_duration(seconds)} with {workers} at once")


@contextmanager
def _bar(units: "list[Unit]", place: "Place") -> "Iterator[Callable[[list[Outcome]], None]]":
    """Show what is done, what runs and the time left; as lines, one a unit, where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    began, total, shown = time.time(), len(units), 0
    if not sys.stderr.isatty():

        def print_new(outcomes: "list[Outcome]") -> None:
            nonlocal shown
            for each in outcomes[shown:]:
                state = "done" if each.error is None else f"failed: {each.error.splitlines()[0]}"
                passed = _duration(time.time() - began)
                print(f"{shown + 1}/{total} {each.name} {state}, {passed}", file=sys.stderr, flush=True)
                shown += 1

        yield print_new
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[running]}"), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        weight: dict[str, float] = _weights(units, place)
        task = bar.add_task("", total=sum(weight.values()), running="")

        def update(outcomes: "list[Outcome]") -> None:
            ended = {each.name for each in outcomes}
            running: dict[str, Any] = {}
            for unit in units:
                status = {} if unit.name in ended else place.status(unit)
                if status.get("state") == "running" and status["began"] >= began:  # not before a kill
                    running[unit.name] = status["part"]
            passed = sum(weight[name] for name in ended) + sum(weight[name] * part for name, part in running.items())
            names = ", ".join(f"{name} {part:.0%}" for name, part in running.items())
            failed = sum(each.error is not None for each in outcomes)
            text = f"{len(ended)}/{total}" + (f", {failed} failed" if failed else "")
            bar.update(task, completed=passed, description=text, running=names)

        yield update


def _weights(units: "list[Unit]", place: "Place") -> dict[str, float]:
    """Return how long each unit takes; where nothing was measured, all but evaluations as long as twenty of these."""
    from weakspot.studies.units import seconds_of

    return {
        name: seconds or (1.0 if name.startswith("evaluate") else 20.0)
        for name, seconds in seconds_of(units, place).items()
    }


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
