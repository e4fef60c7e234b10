"""Units of work: done once, again where their product is missing, and failing alone."""

import json
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from weakspot.errors import InputError
from weakspot.studies.runner import run_here
from weakspot.studies.units import Outcome, Place, carry_out, done, key, notes, pending, seconds_of


@dataclass(frozen=True)
class Square:
    """Squares a number into a file, for those who sum; refuses numbers below zero."""

    number: int
    needs: tuple[str, ...] = ()
    colour: str = "blue"
    kind: str = "square number"

    @property
    def name(self) -> str:
        return f"square-{self.number}"

    @property
    def settings(self) -> dict[str, Any]:
        return {"number": self.number, "colour": self.colour}

    def product(self, place: Place) -> Path:
        return place.work_of(self) / "product"

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
    assert place.status(Sum(squares))["state"] == "done"
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
    status = place.status(Square(-1))
    assert status["state"] == "failed"
    assert any("raise ValueError" in line for line in status["traceback"])
    assert [each.name for each in pending(units, place)] == ["square--1", "sum"]


def test_what_fails_takes_along_what_needs_it_twice_over(place: Place):
    first, middle, last = Square(-1), Square(6, needs=("square--1",)), Square(7, needs=("square--1", "square-6"))
    outcomes = {each.name: each.error for each in run([first, middle, last], place)}
    assert outcomes.keys() == {"square--1", "square-6", "square-7"}
    assert all(outcomes.values())


def test_a_unit_that_a_lost_worker_still_runs_is_waited_for(place: Place):
    unit, ended = Square(2), []
    folder = place.work_of(unit)
    folder.mkdir()
    lost = FileLock(folder / "unit.lock")
    lost.acquire()
    waiting = threading.Thread(target=lambda: ended.append(carry_out(unit, place)))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    unit.product(place).write_text("of the lost worker")
    record = {"kind": unit.kind, "key": key(unit), "seconds": 1.0, "result": {}}
    (place.units / "square-2.json").write_text(json.dumps(record))
    lost.release()
    waiting.join(10)
    assert ended == [Outcome("square-2")]
    assert unit.product(place).read_text() == "of the lost worker"


def test_the_time_of_all_sittings_is_recorded(place: Place):
    unit = Sum(())
    place.work_of(unit).mkdir()
    (place.work_of(unit) / "status.json").write_text('{"state": "running", "part": 0.5, "spent": 100.0}')
    run([unit], place)
    assert 100 <= place.record("sum")["seconds"] < 110


def test_a_record_of_other_settings_does_not_count(place: Place):
    run([Square(2), Sum((Square(2),))], place)
    assert done(Sum((Square(2),)), place)
    assert not done(Sum((Square(2),), power=2), place)


def test_a_folder_belongs_to_one_setting(place: Place):
    place.begin({})
    with pytest.raises(InputError, match=r"steps \(None then, 3 now\).*another --out"):
        place.begin({"steps": 3})
    assert json.loads((place.out / "settings.json").read_text()) == {}


@pytest.mark.parametrize("content", ["{", "[1]", '{"key": ""}', "\0"])
def test_a_damaged_record_is_named_and_its_unit_run_again(place: Place, content: str):
    run([Square(2)], place)
    (place.units / "square-2.json").write_text(content)
    (place.work_of(Square(2)) / "status.json").write_text("{")
    assert notes([Square(2)], place) == [f"{place.units / 'square-2.json'} is damaged: its unit is run again"]
    assert [each.error for each in run([Square(2)], place)] == [None]
    assert place.record("square-2")["result"] == {"seconds": 20.0}
    assert notes([Square(2)], place) == []


def test_records_of_another_version_count_and_are_named(place: Place, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patched:
        patched.setattr("weakspot.__version__", "0.0.9")
        run([Square(2), Square(3)], place)
    run([Square(4)], place)
    units = [Square(2), Square(3), Square(4)]
    assert pending(units, place) == []
    (line,) = notes(units, place)
    assert line.startswith("2 units are done by weakspot 0.0.9, and this is ")


def test_nothing_of_other_settings_is_taken_for_a_product(place: Place):
    run([Square(2)], place)
    other = Square(2, colour="red")
    assert not done(other, place)
    assert not other.ready(place)
    assert place.status(other) == {}
    assert notes([other], place) == [f"{place.units / 'square-2.json'} is of other settings: its unit is run again"]


def test_a_second_command_is_refused_while_one_is_at_work(place: Place):
    with place.alone(), pytest.raises(InputError, match=r"another command is at work in .*another --out"):
        run_alone(place)
    run_alone(place)


def run_alone(place: Place) -> None:
    with Place(place.out).alone():
        pass


def test_what_only_this_machine_needs_is_not_committed(place: Place):
    subprocess.run(["git", "init", "-q", place.out], check=True)
    (place.work() / "weights").touch()
    (place.units / ".square-2.json.123.tmp").touch()  # of a process that was killed while it wrote
    (place.units / "square-2.json").touch()
    seen = subprocess.run(
        ["git", "-C", place.out, "status", "--porcelain", "-uall"], check=True, capture_output=True, text=True
    )
    assert seen.stdout.split()[1::2] == [".gitignore", "settings.json", "units/square-2.json"]


def test_settings_that_are_missing_or_damaged_are_no_study(tmp_path: Path):
    with pytest.raises(InputError, match=r"is no study: expected settings\.json"):
        Place(tmp_path).settings()
    (tmp_path / "settings.json").write_text("{")
    for read in (Place(tmp_path).settings, lambda: Place(tmp_path).begin({})):
        with pytest.raises(InputError, match=r"settings\.json is damaged"):
            read()


def test_time_left_is_that_of_the_kind_less_what_is_done(place: Place):
    assert seconds_of([Square(1)], place) == {"square-1": None}
    run([Square(2), Square(4)], place)  # 20 and 40 seconds
    folder = place.work_of(Square(5))
    folder.mkdir()
    (folder / "status.json").write_text('{"state": "running", "part": 0.5}')
    left = seconds_of([Square(1), Square(5), Square(6, kind="square other"), Sum(())], place)
    assert left == {"square-1": 30, "square-5": 15, "square-6": 30, "sum": None}
