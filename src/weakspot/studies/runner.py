"""Running the units of a study: here one after the other, or on the workers of a Dask cluster."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weakspot.devices import use_cpu
from weakspot.errors import InputError
from weakspot.studies.units import Outcome, Place, Unit, carry_out, key
from weakspot.training.interrupt import Interrupted, caught_signals

if TYPE_CHECKING:
    from distributed import Client

_LOOK_EVERY = 0.5  # seconds
_DEATHS = 3  # of workers, one after the other while they run a unit, before the unit counts as failed

Look = Callable[[list[Outcome]], None]


def run_here(units: Sequence[Unit], place: Place, look: Look, threads: int) -> list[Outcome]:
    """Run units one after the other in this process; ``look`` is given the outcomes so far after each."""
    use_cpu(threads)
    outcomes: dict[str, Outcome] = {}
    for unit in units:
        needed = [outcomes[name] for name in unit.needs if name in outcomes]
        outcomes[unit.name] = carry_out(unit, place, needed)
        look(list(outcomes.values()))
    return list(outcomes.values())


def run_on(client: "Client", units: Sequence[Unit], place: Place, look: Look, threads: int) -> list[Outcome]:
    """Run units on a cluster, the first ones first; a unit whose worker dies is run again by another.

    Parameters
    ----------
    client : of the cluster
    units : each after those that it needs
    place : the workers must see the folder under the same path
    look : given the outcomes so far, about twice a second
    threads : of each unit

    Raises
    ------
    Interrupted
        After SIGTERM or SIGINT; trainings go on from their last saved state.
    """
    futures: dict[str, Any] = {}
    for position, unit in enumerate(units):
        needed = [futures[name] for name in unit.needs if name in futures]
        name = f"{unit.name}-{key(unit)}"  # two clients that want the same unit get one
        futures[unit.name] = client.submit(_on_worker, unit, place, needed, threads, key=name, priority=-position)
    outcomes: dict[str, Outcome] = {}
    with caught_signals() as stopped:
        while futures:
            for name in [name for name, future in futures.items() if future.done()]:
                outcomes[name] = _outcome(name, futures.pop(name))
            look(list(outcomes.values()))
            if stopped.is_set():
                client.cancel(list(futures.values()))
                raise Interrupted("interrupted")
            time.sleep(_LOOK_EVERY)
    return list(outcomes.values())


def _on_worker(unit: Unit, place: Place, needed: list[Outcome], threads: int) -> Outcome:
    use_cpu(threads)
    return carry_out(unit, place, needed)


def _outcome(name: str, future: Any) -> Outcome:
    """Return what a unit's call returned, or that it never did."""
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    if future.status == "error":
        return Outcome(name, f"the worker did not survive it: {future.exception()}")
    return Outcome(name, f"{future.status}: the scheduler is gone, or another client stopped it")


@contextmanager
def cluster(workers: int, scheduler: str | None = None, scheduler_file: Path | None = None) -> Iterator["Client"]:
    """Connect to the scheduler named, or start so many workers on this machine for as long as they are used.

    Raises
    ------
    InputError
        Dask is not installed, or the scheduler does not answer.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(
            "several workers need Dask: pip install 'weakspot[cluster]', or run in this process with --workers 0"
        ) from error
    if scheduler or scheduler_file:
        if scheduler_file and not scheduler_file.is_file():  # Dask would wait for it
            raise InputError(f"{scheduler_file} is not there: start the scheduler with --scheduler-file first")
        try:
            client = Client(scheduler, scheduler_file=scheduler_file and str(scheduler_file), timeout="20s")
        except (OSError, ValueError) as error:
            raise InputError(f"no Dask scheduler answers at {scheduler or scheduler_file} ({error})") from error
        with client:
            yield client
        return
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": _DEATHS}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=None,
            dashboard_address=None,
            silence_logs=logging.ERROR,
        ) as local,
        Client(local) as client,
    ):
        yield client
