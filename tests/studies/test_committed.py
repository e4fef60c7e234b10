"""What is committed of the studies: tables and a page that are those of the records beside them."""

import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from weakspot.studies import brain_report, brain_results, mnist_report, results, writing
from weakspot.studies.units import Place

ROOT = Path(__file__).parents[2]
STUDIES = [("mnist", results, mnist_report), ("brain", brain_results, brain_report)]


@pytest.mark.parametrize(("name", "read", "report"), STUDIES)
def test_what_is_committed_is_the_report_of_the_committed_records(
    name: str, read: ModuleType, report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    committed = ROOT / "studies" / "results" / name
    copy = Place(shutil.copytree(committed, tmp_path / "studies/results" / name, ignore=shutil.ignore_patterns("work")))
    assert read.read_results(copy).left_out == {}
    monkeypatch.setattr(report, "figures", lambda *_: [])
    monkeypatch.setattr(writing, "write_figures", lambda *_: [])
    report.write_report(copy)
    for ending in ("md", "txt", "tex"):
        written = [(place / f"tables.{ending}").read_text(encoding="utf-8") for place in (committed, copy.out)]
        assert written[0] == written[1], "a report of other records: write it again with --report"
    summaries = [json.loads((place / "summary.json").read_text(encoding="utf-8")) for place in (committed, copy.out)]
    assert summaries[0] == summaries[1]
    pages = [(root / "docs" / f"{name}.md").read_text(encoding="utf-8") for root in (ROOT, tmp_path)]
    assert re.sub(r"!\[Figure .*\n\n.*\n\n", "", pages[0]) == pages[1], "write the page again with --report"
