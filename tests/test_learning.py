"""That counts alone are enough: minutes of training on real images."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.test_cli import run

pytestmark = pytest.mark.slow


def test_digits_are_found_from_counts_alone(tmp_path: Path):
    run("demo", "--out", tmp_path / "demo", "--steps", 600, "--threads", 2)
    result = json.loads((tmp_path / "demo" / "result.json").read_text())
    # Candidates in random order of score reach about 0.1.
    assert result["fauc"] > 0.4
    assert result["count_mae"] < 1.7  # that of the best constant


def test_nuclei_are_counted_and_found(shared_data: Path, tmp_path: Path):
    folder = shared_data / "nuclei_dsb2018"
    run("train", folder / "cohort.csv", "--out", tmp_path / "run", "--steps", 150, "--threads", 2)
    found = tmp_path / "found"
    run("predict", tmp_path / "run", folder / "cohort.csv", "--split", "val", "--out", found, "--threads", 2)
    cohort = pd.read_csv(folder / "cohort.csv", dtype={"id": str}).query("split == 'val'").set_index("id")
    counts = pd.read_csv(found / "counts.csv", dtype={"id": str}).set_index("id")["count"]
    errors = (counts - cohort["count"]).abs()
    assert errors.mean() < 0.6 * (cohort["count"] - cohort["count"].median()).abs().mean()
    options = ["--cohort", folder / "cohort.csv", "--split", "val", "--radius-vox", 8, "--max-fp", 20]
    files = [found / "detections.csv", folder / "points.csv"]
    run("evaluate", *files, *options, "--averaging", "object", "--json", tmp_path / "r.json")
    result = json.loads((tmp_path / "r.json").read_text())
    assert np.isfinite(result["fauc"])
    assert result["fauc"] > 0.3
