"""Units of work of a study: idempotent calls, each with a record of its result and a folder of its own."""

import hashlib
import json
import os
import socket
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

import weakspot
from weakspot.errors import InputError
from weakspot.files import write_text
from weakspot.settings import differences, json_ready
from weakspot.training.interrupt import Interrupted

_TELL_EVERY = 2.0  # seconds between status files


@dataclass(frozen=True)
class Place:
    """Where a study lives: a folder that all workers see.

    Attributes
    ----------
    out : the folder
        ``settings.json``, and ``units`` with the records of what is done: small, to be kept and shared. ``work`` with
        a folder for each unit: what it needs meanwhile, its status, trained networks.
    """

    out: Path

    @property
    def units(self) -> Path:
        """Folder of the records."""
        return self.out / "units"

    def work(self, name: str = "") -> Path:
        """Return a folder for what only this machine needs, such as that of a unit."""
        return self.out / "work" / name

    def work_of(self, unit: "Unit") -> Path:
        """Return the folder of a unit, another under other settings, so that nothing of theirs is taken for its own."""
        return self.work(f"{unit.name}-{key(unit)}")

    def names(self) -> list[str]:
        """Return the names of all records."""
        return sorted(path.stem for path in self.units.glob("*.json"))

    def record(self, name: str) -> dict[str, Any] | None:
        """Return what a unit left when it was done, None if it is not, or its record is damaged."""
        record = _read(self.units / f"{name}.json")
        return record if record and record.keys() >= {"kind", "key", "seconds", "result"} else None

    def status(self, unit: "Unit") -> dict[str, Any]:
        """Return ``{state, began, host, pid, ...}`` of a unit that was begun: running, done or failed; else nothing."""
        return _read(self.work_of(unit) / "status.json") or {}

    def settings(self) -> dict[str, Any]:
        """Return the settings that the folder was begun with.

        Raises
        ------
        InputError
            There are none.
        """
        path = self.out / "settings.json"
        if not path.exists():
            raise InputError(f"{self.out} is no study: expected settings.json and the folder units in it")
        if (settings := _read(path)) is None:
            raise InputError(f"{path} is damaged: bring it back, or remove it and give the same settings again")
        return settings

    def check(self, settings: Mapping[str, Any]) -> None:
        """Hold the settings against those that the folder was begun with.

        Raises
        ------
        InputError
            Names what differs.
        """
        if not (self.out / "settings.json").exists():
            return
        given, begun = json_ready(settings), self.settings()
        if begun != given:
            changed = ", ".join(differences(begun, given))
            raise InputError(f"{self.out} was begun with other settings: {changed}; give the same, or another --out")

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Make the folders, and write the settings down; raises as `check` does."""
        self.check(settings)
        self.units.mkdir(parents=True, exist_ok=True)
        self.work().mkdir(exist_ok=True)
        write_text(self.out / ".gitignore", "/work/\n.*.tmp\n")  # the latter: of what was killed while it wrote
        write_text(self.out / "settings.json", json.dumps(json_ready(settings), indent=2) + "\n")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other commands from running units of this study meanwhile.

        Raises
        ------
        InputError
            One does already.
        """
        try:
            with FileLock(self.work("lock"), timeout=0):
                yield
        except Timeout:
            raise InputError(f"another command is at work in {self.out}: wait for it, or give another --out") from None


class Unit(Protocol):
    """One piece of work. It is pickled and sent to a worker."""

    @property
    def name(self) -> str:
        """Its name, unique in the study; names files."""

    @property
    def kind(self) -> str:
        """What is alike in time: a word for the work, and one for what it is done with."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the units whose products it reads."""

    @property
    def settings(self) -> dict[str, Any]:
        """All that its result hangs on, JSON-ready; a record of other settings does not count as done."""

    def ready(self, place: Place) -> bool:
        """Say whether what other units read of this one is there."""

    def run(self, place: Place, tell: Callable[[float], None]) -> dict[str, Any]:
        """Do the work, going on with what was cut off, and return the result; ``tell`` takes the part done, 0-1.

        Where the result has ``seconds``, they are the time of all sittings.
        """


@dataclass(frozen=True)
class Outcome:
    """How a unit ended.

    Attributes
    ----------
    name : of the unit
    error : why it failed, in one line; None if it is done
    """

    name: str
    error: str | None = None


def key(unit: Unit) -> str:
    """Return what a unit's record is known by: a hash of its settings."""
    return hashlib.sha256(json.dumps(json_ready(unit.settings), sort_keys=True).encode()).hexdigest()[:16]


def done(unit: Unit, place: Place) -> bool:
    """Say whether the unit's result is there."""
    record = place.record(unit.name)
    return record is not None and record["key"] == key(unit)


def notes(units: Sequence[Unit], place: Place) -> list[str]:
    """Name the records of these units that are damaged or of other settings, and say how many are of other versions.

    The former are run again; a record of another version of weakspot counts as done, its settings being the same.
    """
    lines, versions = [], Counter[str]()
    for unit in units:
        path = place.units / f"{unit.name}.json"
        if not path.exists():
            continue
        record = place.record(unit.name)
        if record is None:
            lines.append(f"{path} is damaged: its unit is run again")
        elif record["key"] != key(unit):
            lines.append(f"{path} is of other settings: its unit is run again")
        elif version := record.get("weakspot", record["result"].get("environment", {}).get("weakspot")):
            versions[version] += version != weakspot.__version__
    return lines + [
        f"{number} units are done by weakspot {version}, and this is {weakspot.__version__}: they count"
        for version, number in versions.items()
        if number
    ]


def pending(units: Sequence[Unit], place: Place) -> list[Unit]:
    """Return what has to be run, in the order given, each unit after those that it needs.

    A unit that is done is run again only if one that is not needs its product, and that is not here.
    """
    by_name = {unit.name: unit for unit in units}
    wanted: dict[str, Unit] = {}

    def want(unit: Unit) -> None:
        for needed in unit.needs:
            if not (done(by_name[needed], place) and by_name[needed].ready(place)):
                want(by_name[needed])
        wanted[unit.name] = unit

    for unit in units:
        if not done(unit, place):
            want(unit)
    return list(wanted.values())


def carry_out(unit: Unit, place: Place) -> Outcome:
    """Run a unit unless it is done, and leave its record; an error ends this unit alone.

    While a worker that nothing is known of any more (of a command that was stopped, or one that its scheduler lost)
    still runs the unit, this waits for its result.

    Raises
    ------
    Interrupted
        After a signal.
    """
    folder = place.work_of(unit)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "unit.lock"):
            return _carry_out(unit, place, folder)
    except OSError as error:
        return Outcome(unit.name, f"{type(error).__name__}: {error}")


def _carry_out(unit: Unit, place: Place, folder: Path) -> Outcome:
    if done(unit, place) and unit.ready(place):
        return Outcome(unit.name)
    status, told = folder / "status.json", 0.0
    began = time.time()
    earlier = place.status(unit)
    before = earlier.get("spent", 0.0) if earlier.get("state") != "done" else 0.0
    who = {"began": began, "host": socket.gethostname(), "pid": os.getpid()}

    def spent() -> float:
        """Return the seconds of all sittings."""
        return round(before + time.time() - began, 1)

    def tell(part: float) -> None:
        nonlocal told
        if time.monotonic() - told > _TELL_EVERY:
            told = time.monotonic()
            _write(status, {"state": "running", **who, "part": round(part, 4), "spent": spent()})

    try:
        tell(0.0)
        result = unit.run(place, tell)
        record = {
            "unit": unit.name,
            "kind": unit.kind,
            "key": key(unit),
            "weakspot": weakspot.__version__,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": result.get("seconds", spent()),
            "result": result,
        }
        _write(place.units / f"{unit.name}.json", record)
        _write(status, {"state": "done", **who})
    except Interrupted:
        raise
    except Exception as error:  # whatever it is, the other units go on
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        if folder.is_dir():
            trace = traceback.format_exc().splitlines()
            _write(status, {"state": "failed", **who, "spent": spent(), "reason": reason, "traceback": trace})
        return Outcome(unit.name, reason)
    return Outcome(unit.name)


def seconds_of(units: Sequence[Unit], place: Place) -> dict[str, float | None]:
    """Estimate the time of each unit that is still to be run, from the records of its kind, else of its first word.

    Returns
    -------
    dict
        Unit -> seconds of one worker, less what is done of it already; None where nothing like it was measured.
    """
    measured: dict[str, list[float]] = {}
    for name in place.names():
        if record := place.record(name):
            for kind in (record["kind"], record["kind"].split()[0]):
                measured.setdefault(kind, []).append(record["seconds"])
    left: dict[str, float | None] = {}
    for unit in units:
        times = measured.get(unit.kind) or measured.get(unit.kind.split()[0])
        part = place.status(unit).get("part", 0.0)  # where it was cut off
        left[unit.name] = sum(times) / len(times) * (1 - part) if times else None
    return left


def _write(path: Path, values: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(json_ready(values), separators=(",", ":"), allow_nan=False) + "\n")


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a file holds, None if it is not there or damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return values if isinstance(values, dict) else None
