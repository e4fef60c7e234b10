"""Running units: in the order of the study, as far as there are workers for them."""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from weakspot.errors import InputError
from weakspot.studies import runner
from weakspot.studies.mnist import study_units
from weakspot.studies.mnist_data import MnistSettings
from weakspot.studies.mnist_units import Training
from weakspot.studies.runner import cluster, run_on
from weakspot.studies.units import Outcome, Place, Unit
from weakspot.training.recipes import choose_recipe

SETTINGS = MnistSettings(choose_recipe("fast"), "digits")


class Future:
    status = "finished"

    def __init__(self, client: "Client", unit: Unit) -> None:
        self.client, self.unit = client, unit
        lasts = 2 + unit.digit % 3 if isinstance(unit, Training) else 1
        self.ends = client.now + lasts

    def done(self) -> bool:
        return self.client.now >= self.ends

    def result(self) -> Outcome:
        return Outcome(self.unit.name, "it broke" if self.unit.name in self.client.failing else None)


class Client:
    """A cluster in which time goes on when it is asked for its workers; what it is given starts at once."""

    def __init__(self, workers: Iterator[int], failing: tuple[str, ...] = ()) -> None:
        self.workers, self.failing, self.now = workers, failing, 0
        self.futures: list[Future] = []

    def nthreads(self) -> dict[str, int]:
        self.now += 1
        return {"tcp://worker": next(self.workers)}

    def submit(self, function: Any, unit: Unit, *arguments: Any, key: str) -> Future:
        self.futures.append(Future(self, unit))
        return self.futures[-1]


def always(number: int) -> Iterator[int]:
    while True:
        yield number


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_LOOK_EVERY", 0)


def test_units_begin_in_the_order_of_the_study_and_evaluations_before_the_next_training(tmp_path: Path):
    units = study_units(SETTINGS)
    client = Client(always(2))
    outcomes = run_on(client, units, Place(tmp_path), lambda outcomes: None, 1)
    assert {each.name for each in outcomes} == {unit.name for unit in units}
    begun = [future.unit for future in client.futures]
    trainings = [unit.name for unit in begun if isinstance(unit, Training)]
    assert trainings == [unit.name for unit in units if isinstance(unit, Training)]
    ends = {future.unit.name: future.ends for future in client.futures}
    starts = {future.unit.name: future.ends - (2 + future.unit.digit % 3) for future in client.futures
              if isinstance(future.unit, Training)}  # fmt: skip
    for future in client.futures:
        if not isinstance(future.unit, Training):
            began, ready = future.ends - 1, ends[future.unit.needs[0]]
            assert began >= ready
            # No training begins between the end of a network's own and its evaluation.
            assert not [name for name, start in starts.items() if ready + 1 < start < began]
    for now in range(client.now):
        begun_by_now = sum(starts.get(name, end - 1) <= now < end for name, end in ends.items())
        assert begun_by_now <= 2


def test_what_needs_a_failed_unit_fails_and_the_rest_goes_on(tmp_path: Path):
    units = study_units(SETTINGS, [4, 5], ["gp_unet", "grad", "grad_cam"], ["regression"])
    client = Client(always(1), ("train-regression-base-4-seed0",))
    outcomes = {each.name: each.error for each in run_on(client, units, Place(tmp_path), lambda outcomes: None, 1)}
    needs = "needs train-regression-base-4-seed0, which failed"
    assert {name: error for name, error in outcomes.items() if error} == {
        "train-regression-base-4-seed0": "it broke",
        "evaluate-regression-grad-4-seed0": needs,
        "evaluate-regression-grad_cam-4-seed0": needs,
    }
    assert len(outcomes) == len(units)


def test_it_says_that_no_worker_is_there(tmp_path: Path):
    units = study_units(SETTINGS, [4], ["gp_unet"], ["regression"])
    said: list[str] = []
    client = Client(iter([0, 0, 0, *[2] * 20]))
    assert len(run_on(client, units, Place(tmp_path), lambda outcomes: None, 1, said.append)) == 2
    assert said == ["no worker is connected to the scheduler: waiting for one", "running 2 at once"]


def test_a_scheduler_that_is_gone_is_an_error(tmp_path: Path):
    def gone() -> Iterator[int]:
        yield 1
        raise OSError("connection refused")

    units = study_units(SETTINGS, [4], ["gp_unet"], ["regression"])
    with pytest.raises(InputError, match=r"scheduler is gone \(connection refused\)"):
        run_on(Client(gone()), units, Place(tmp_path), lambda outcomes: None, 1)


@contextmanager
def taken(port: int) -> Iterator[None]:
    with socket.socket() as listening:
        try:
            listening.bind(("", port))
            listening.listen()
        except OSError:
            pass  # by another, just as well
        yield


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_a_port_that_is_taken_is_no_matter(caplog: pytest.LogCaptureFixture):
    pytest.importorskip("distributed")
    with taken(8787), caplog.at_level(logging.WARNING), cluster(1) as client:
        assert sum(client.nthreads().values()) == 1
    assert not [record for record in caplog.records if "ort" in record.getMessage()]
    assert threading.active_count() < 50
