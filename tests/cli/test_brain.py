"""The way of the paper's brain study (3.2 to 3.8): phantoms, regions, training, seven methods, one slice judged."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.test_cli import run

METHODS = {
    "gp_unet": ["cam"],
    "gp_unet_no_residual": ["cam"],
    "gated_attention": ["gated"],
    "base": ["grad_cam", "grad", "guided_backprop", "intensity"],
}
AXIS = ["--slice-axis", "k"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::weakspot.data.cohort.CohortWarning")
def test_seven_methods_on_the_annotated_slice(tmp_path: Path):
    region, regions = "basal_ganglia", tmp_path / "regions"
    run("phantom", "--out", tmp_path / "phantoms", "--n", 11, "--region", region, "--spacing", "2,2,3", "--seed", 1)
    points = tmp_path / "phantoms" / "points.csv"
    cut = ["--size", "40x32x16", "--points", points, "--out", regions]
    run("regions", tmp_path / "phantoms" / "cohort.csv", "--region", region, *cut)
    cohort, truth = regions / f"cohort_{region}.csv", regions / f"points_{region}.csv"
    slices = pd.read_csv(cohort, dtype={"id": str}).set_index("id")["slice"]
    judged = {}
    for network, methods in METHODS.items():
        quick = ["--steps", 6, "--batch-size", 4, "--width", 2, "--threads", 1, "--cache", tmp_path / "cache"]
        run("train", cohort, "--network", network, *quick, "--at-once", 2, "--out", tmp_path / network)
        for method in methods:
            out = tmp_path / f"{network}_{method}"
            found = ["predict", tmp_path / network, cohort, "--split", "test", "--method", method, "--threads", 1]
            run(*found, *AXIS, "--out", out)
            points_found = pd.read_csv(out / "detections.csv", dtype={"id": str})
            assert len(points_found)
            assert (points_found["k"] == points_found["id"].map(slices)).all()
            against = [out / "detections.csv", truth, "--cohort", cohort, "--split", "test", *AXIS]
            options = ["--counts", out / "counts.csv", "--radius-vox", 6, "--max-fp", 15, "--resamples", 50]
            run("evaluate", *against, *options, "--json", out / "result.json")
            judged[network, method] = json.loads((out / "result.json").read_text())
    assert len(judged) == 7
    for result in judged.values():
        assert 0 <= result["fauc"] <= 1
        assert result["conventions"]["max_fp"] == 15
    # Intensity takes the count of the network that it is told by: the points at it are the n brightest.
    intensity, others = judged["base", "intensity"], judged["base", "grad_cam"]
    assert np.isclose(intensity["count_mae"], others["count_mae"])
    assert intensity["fauc"] > 0.2  # of phantoms whose perivascular spaces are bright
