"""What is committed of the studies: tables that are those of the records beside them."""

import json
from pathlib import Path

import pytest

from weakspot.studies import brain_results, results
from weakspot.studies.units import Place

RESULTS = Path(__file__).parents[2] / "studies" / "results"


@pytest.mark.parametrize(("name", "read"), [("mnist", results), ("brain", brain_results)])
def test_the_committed_tables_are_those_of_the_committed_records(name: str, read):
    place = Place(RESULTS / name)
    found = read.read_results(place)
    assert found.evaluations
    assert found.left_out == {}
    summary = json.loads((place.out / "summary.json").read_text(encoding="utf-8"))
    assert summary == read.tables(found), "a report of other records: write it again with --report"
