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
_DASK = {
    # Deaths of workers that a unit is run again after; the next one, and it has failed.
    "distributed.scheduler.allowed-failures": 3,
    # Dask looks every 10 ms at what a worker runs, and every 20 ms whether its loops are late: 5 % of two cores.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
}

Look = Callable[[list[Outcome]], None]


class _Queue:
    """Hands units out in their order, each once all that it needs has ended, and gathers how they ended."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self.waiting = {unit.name: unit for unit in units}
        self.running: set[str] = set()
        self.outcomes: list[Outcome] = []

    def take(self) -> Unit | None:
        """Return the first unit that needs none of those that wait or run."""
        for name, unit in self.waiting.items():
            if not any(needed in self.waiting or needed in self.running for needed in unit.needs):
                self.running.add(name)
                return self.waiting.pop(name)
        return None

    def end(self, outcome: Outcome) -> None:
        """Note how a unit ended; those that need one that failed have failed, too."""
        self.running.discard(outcome.name)
        self.outcomes.append(outcome)
        if outcome.error:
            for name in [name for name, unit in self.waiting.items() if outcome.name in unit.needs]:
                if self.waiting.pop(name, None):  # it may have gone with another that it needs
                    self.end(Outcome(name, f"needs {outcome.name}, which failed"))


def run_here(units: Sequence[Unit], place: Place, look: Look, threads: int) -> list[Outcome]:
    """Run units one after the other in this process; ``look`` is given the outcomes so far after each."""
    use_cpu(threads)
    queue = _Queue(units)
    while unit := queue.take():
        queue.end(carry_out(unit, place))
        look(queue.outcomes)
    return queue.outcomes


def run_on(
    client: "Client",
    units: Sequence[Unit],
    place: Place,
    look: Look,
    threads: int,
    say: Callable[[str], None] = lambda line: None,
) -> list[Outcome]:
    """Run units on a cluster, the first ones first; a unit whose worker dies is run again by another.

    Parameters
    ----------
    client : of the cluster
    units : each after those that it needs
    place : the workers must see the folder under the same path
    look : given the outcomes so far, about twice a second
    threads : of each unit
    say : given a line when the cluster has no worker, and when it has one again

    Raises
    ------
    Interrupted
        After SIGTERM or SIGINT; trainings go on from their last saved state.
    InputError
        The scheduler is gone.
    """
    queue, futures, idle = _Queue(units), dict[str, Any](), False
    with caught_signals() as stopped:
        while True:
            for name in [name for name, future in futures.items() if future.done()]:
                queue.end(_outcome(name, futures.pop(name)))
            look(queue.outcomes)
            if not queue.waiting and not futures:
                return queue.outcomes
            if stopped.is_set():
                client.cancel(list(futures.values()))
                raise Interrupted("interrupted")
            slots = _slots(client)
            if idle != (slots == 0):
                idle = not idle
                say("no worker is connected to the scheduler: waiting for one" if idle else f"running {slots} at once")
            # No more than there are workers for: the scheduler would take them in an order of its own.
            while len(futures) < slots and (unit := queue.take()):
                name = f"{unit.name}-{key(unit)}"
                futures[unit.name] = client.submit(_on_worker, unit, place, threads, key=name)
            time.sleep(_LOOK_EVERY)


def _slots(client: "Client") -> int:
    """Return how many units the cluster runs at once."""
    try:
        return sum(client.nthreads().values())
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"the Dask scheduler is gone ({error}); with one, the same command goes on") from error


def _on_worker(unit: Unit, place: Place, threads: int) -> Outcome:
    use_cpu(threads)
    return carry_out(unit, place)


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
            "several workers need Dask: pip install -e '.[cluster]' in weakspot's folder, or run in this "
            "process with --workers 0"
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
        dask.config.set(_DASK),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=None,
            dashboard_address="127.0.0.1:0",  # any free port; without an address Dask wants the one that all want
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.ERROR,
        ) as local,
        Client(local) as client,
    ):
        yield client
