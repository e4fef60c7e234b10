"""Units of work: done once, again where their product is missing, and failing alone."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from weakspot.errors import InputError
from weakspot.studies.runner import run_here
from weakspot.studies.units import Outcome, Place, carry_out, done, pending, seconds_of


@dataclass(frozen=True)
class Square:
    """Squares a number into a file, for those who sum; refuses numbers below zero."""

    number: int
    needs: tuple[str, ...] = ()
    kind: str = "square number"

    @property
    def name(self) -> str:
        return f"square-{self.number}"

    @property
    def settings(self) -> dict[str, Any]:
        return {"number": self.number}

    def product(self, place: Place) -> Path:
        return place.work(self.name) / "product"

    def ready(self, place: Place) -> bool:
        return self.product(place).exists()

    def run(self, place: Place, tell: Callable[[float], None]) -> dict[str, Any]:
        if self.number < 0:
            raise ValueError("below zero")
        self.product(place).write_text(str(self.number**2))
        return {"seconds": 10.0 * self.number}


@dataclass(frozen=True)
class Sum:
    squares: tuple[Square, ...]
    power: int = 1
    name: str = "sum"
    kind: str = "sum squares"

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.squares)

    @property
    def settings(self) -> dict[str, Any]:
        return {"power": self.power}

    def ready(self, place: Place) -> bool:
        return True

    def run(self, place: Place, tell: Callable[[float], None]) -> dict[str, Any]:
        return {"sum": sum(int(each.product(place).read_text()) for each in self.squares)}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.begin({})
    return place


def run(units: list[Any], place: Place) -> list[Outcome]:
    return run_here(pending(units, place), place, lambda outcomes: None, 1)


def test_each_unit_is_run_once_and_leaves_its_result(place: Place):
    squares = (Square(2), Square(3))
    units = [*squares, Sum(squares)]
    assert [each.name for each in run(units, place)] == ["square-2", "square-3", "sum"]
    assert place.record("sum")["result"] == {"sum": 13}
    assert place.status("sum")["state"] == "done"
    assert run(units, place) == []
    before = (place.units / "square-2.json").read_bytes()
    assert carry_out(squares[0], place) == Outcome("square-2")
    assert (place.units / "square-2.json").read_bytes() == before


def test_needs_come_first_and_only_where_they_are_missing(place: Place):
    squares = (Square(2), Square(3))
    assert [each.name for each in pending([Sum(squares), *squares], place)] == ["square-2", "square-3", "sum"]
    run([*squares, Sum(squares)], place)
    squares[0].product(place).unlink()  # as in another clone, which has records alone
    assert pending([*squares, Sum(squares)], place) == []
    (place.units / "sum.json").unlink()
    assert [each.name for each in pending([*squares, Sum(squares)], place)] == ["square-2", "sum"]
    assert all(each.error is None for each in run([*squares, Sum(squares)], place))
    assert place.record("sum")["result"] == {"sum": 13}


def test_a_failed_unit_stops_those_that_need_it_alone(place: Place):
    units = [Square(-1), Sum((Square(-1),)), Square(5)]
    outcomes = {each.name: each.error for each in run(units, place)}
    assert outcomes == {
        "square--1": "ValueError: below zero",
        "sum": "needs square--1, which failed",
        "square-5": None,
    }
    status = place.status("square--1")
    assert status["state"] == "failed"
    assert any("raise ValueError" in line for line in status["traceback"])
    assert [each.name for each in pending(units, place)] == ["square--1", "sum"]


def test_a_record_of_other_settings_does_not_count(place: Place):
    run([Square(2), Sum((Square(2),))], place)
    assert done(Sum((Square(2),)), place)
    assert not done(Sum((Square(2),), power=2), place)


def test_a_folder_belongs_to_one_setting(place: Place):
    place.begin({})
    with pytest.raises(InputError, match=r"steps was None, now 3.*another --out"):
        place.begin({"steps": 3})
    assert json.loads((place.out / "settings.json").read_text()) == {}


def test_a_damaged_record_is_named(place: Place):
    (place.units / "square-2.json").write_text("{")
    with pytest.raises(InputError, match=r"square-2\.json is damaged"):
        pending([Square(2)], place)


def test_time_left_is_that_of_the_kind_less_what_is_done(place: Place):
    assert seconds_of([Square(1)], place) == {"square-1": None}
    run([Square(2), Square(4)], place)  # 20 and 40 seconds
    folder = place.work("square-5")
    folder.mkdir()
    (folder / "status.json").write_text('{"state": "running", "part": 0.5}')
    left = seconds_of([Square(1), Square(5), Square(6, kind="square other"), Sum(())], place)
    assert left == {"square-1": 30, "square-5": 15, "square-6": 30, "sum": None}
