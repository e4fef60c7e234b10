"""Tables of a scene that can be judged by hand.

Within 4 voxels of an object lie the detections 0.9 (3 away) and 0.6 (on it); 0.8 is 6 away, the others are far.

    image a, subject s1: objects (10, 10), (20, 20); detections (10, 13) 0.9, (20, 26) 0.8, (40, 40) 0.7
    image b, subject s1: object (10, 10);            detection (10, 10) 0.6
    image c, subject s2: no object;                  detection (5, 5) 0.5
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.test_cli import run

COHORT = "id,subject\na,s1\nb,s1\nc,s2\n"
TRUTH = "id,y,x\na,10,10\na,20,20\nb,10,10\n"
FOUND = "id,y,x,score\na,10,13,.9\na,20,26,.8\na,40,40,.7\nb,10,10,.6\nc,5,5,.5\n"
COUNTS = "id,count\na,1.4\nb,0.6\nc,-0.2\n"
RADIUS = ("--radius-vox", 4, "--max-fp", 2)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder, the working one, with the tables of the scene."""
    for name, text in (("cohort", COHORT), ("truth", TRUTH), ("found", FOUND), ("counts", COUNTS)):
        write(tmp_path, name, text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.csv"
    path.write_text(text)
    return path


def result(*arguments: object) -> dict[str, Any]:
    """Run a command in the working folder, and return what it wrote as JSON."""
    run(*arguments, "--json", "result.json")
    return dict(json.loads(Path("result.json").read_text()))


def evaluated(*options: object) -> dict[str, Any]:
    return result("evaluate", "found.csv", "truth.csv", "--cohort", "cohort.csv", *options)
