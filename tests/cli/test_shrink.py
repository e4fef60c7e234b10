"""Networks of shrunk images: trained and searched as if the images were small, told as they are."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.test_cli import fails, run
from weakspot.data.points import read_points
from weakspot.data.scans import read_scan, write_scan
from weakspot.data.shrinking import carried_back, enlarged
from weakspot.geometry import to_world
from weakspot.training.run import load

QUICK = ["--steps", 4, "--batch-size", 4, "--width", 2, "--threads", 1]
SHRINK = {2: (3, 2), 3: (2, 3, 1)}
AFFINE = np.array([[0, -2.0, 0, 5], [1.5, 0, 0, -7], [0, 0, 3, 11], [0, 0, 0, 1]])  # of the small scans


def text_of(dims: int) -> str:
    return ",".join(map(str, SHRINK[dims]))


@pytest.fixture(scope="module", params=[2, 3], ids=["images", "scans"])
def cohorts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path, Path]:
    """Small images, and the same with a block in the place of each voxel, with a run of each."""
    dims, rng, rows = request.param, np.random.default_rng(0), []
    small, large = (tmp_path_factory.mktemp(name) for name in ("small", "large"))
    factors = SHRINK[dims]
    fine = AFFINE @ np.diag([*(1 / np.array(SHRINK[3])), 1])
    fine[:3, 3] -= fine[:3, :3] @ ((np.array(SHRINK[3]) - 1) / 2)  # which puts the centres of blocks on voxels
    for index in range(24):
        values = rng.integers(0, 13, (16, 15, 9)[:dims]).astype(np.float32) / 64  # whose means are exact
        for place in range(index % 3):
            values[4 * place + 1 : 4 * place + 3, 3:6] += 45 / 64
        blocks = enlarged(values, factors, np.multiply(values.shape, factors))
        name = f"{index:03d}.{'npy' if dims == 2 else 'nii.gz'}"
        for folder, pixels, affine in ((small, values, AFFINE), (large, blocks, fine)):
            if dims == 2:
                np.save(folder / name, pixels)
            else:
                write_scan(folder / name, pixels, affine)
        rows.append((f"{index:03d}", name, index % 3, ("train", "val")[index // 12], index % 4 + 2, 1.5, 2.0))
    for folder, times in ((small, (1, 1)), (large, factors)):
        table = pd.DataFrame(rows, columns=["id", "image", "count", "split", "slice", "spacing_y", "spacing_x"])
        table["spacing_y"] /= times[0]
        table["spacing_x"] /= times[1]
        if dims == 2:
            table = table.drop(columns="slice")
        table.to_csv(folder / "cohort.csv", index=False)
    slices = ["--slice-axis", "k"] if dims == 3 else []
    run("train", small / "cohort.csv", "--out", small / "run", *QUICK, *slices)
    said = run("train", large / "cohort.csv", "--out", large / "run", *QUICK, *slices, "--shrink", text_of(dims)).stdout
    assert f"12 to validate, shrunk to {'x'.join(map(str, values.shape))}, on cpu" in said
    return dims, small, large


def test_the_network_is_that_of_small_images(cohorts: tuple[int, Path, Path]):
    dims, small, large = cohorts
    assert (large / "run" / "weights.safetensors").read_bytes() == (small / "run" / "weights.safetensors").read_bytes()
    one, other = (json.loads((folder / "run" / "settings.json").read_text()) for folder in (small, large))
    assert other["data"].pop("shrink") == list(SHRINK[dims])
    assert one == other
    assert (large / "run" / "tuned.json").read_text() == (small / "run" / "tuned.json").read_text()


@pytest.mark.parametrize("options", [(), ("--size-mm", 6.7), ("--score", "mass"), ("--slice-axis", "k")], ids=str)
def test_points_and_maps_are_those_of_small_images_carried_back(
    cohorts: tuple[int, Path, Path], options: tuple[object, ...], tmp_path: Path
):
    dims, small, large = cohorts
    if dims == 2 and "k" in options:
        options = ("--method", "grad")
    for folder, name in ((small, "one"), (large, "other")):
        run("predict", folder / "run", folder / "cohort.csv", "--out", tmp_path / name, "--maps", *options)
    one, other = tmp_path / "one", tmp_path / "other"
    assert (one / "counts.csv").read_text() == (other / "counts.csv").read_text()
    shape = tuple(np.multiply((16, 15, 9)[:dims], SHRINK[dims]))
    for table in ("detections.csv", "counted.csv"):
        before, after = (read_points(folder / table) for folder in (one, other))
        assert list(before) == list(after)
        for name, points in before.items():
            back = carried_back(points.coordinates, SHRINK[dims], shape)
            assert np.allclose(after[name].coordinates, back, atol=1e-4)
            assert np.array_equal(after[name].scores, points.scores)
            if dims == 3:
                assert np.allclose(after[name].world_mm, to_world(points.coordinates, AFFINE), atol=1e-3)
                assert np.allclose(after[name].world_mm, points.world_mm, atol=1e-3)
    assert len(read_points(one / "detections.csv"))
    for path in sorted((one / "maps").iterdir()):
        if dims == 2:
            before, after = (np.load(folder / "maps" / path.name) for folder in (one, other))
        else:
            before, after = (read_scan(folder / "maps" / path.name).values for folder in (one, other))
        assert np.array_equal(after, enlarged(before, SHRINK[dims], shape))
    assert json.loads((other / "predict.json").read_text())["shrunk_by"] == list(SHRINK[dims])


def test_fine_tuning_shrinks_as_its_run_did(cohorts: tuple[int, Path, Path], tmp_path: Path):
    dims, _, large = cohorts
    further = ["train", large / "cohort.csv", *QUICK, "--init-from", large / "run"]
    if dims == 3:
        further += ["--slice-axis", "k"]
    run(*further, "--out", tmp_path / "alike")
    assert load(tmp_path / "alike").shrink == SHRINK[dims]
    run(*further, "--out", tmp_path / "whole", "--shrink", 1)
    assert load(tmp_path / "whole").shrink == (1,) * dims
    said = fails(*further, "--out", tmp_path / "alike", "--shrink", 1, "--resume")
    assert "was begun with another data" in said


def test_what_cannot_be_shrunk_so(cohorts: tuple[int, Path, Path], tmp_path: Path):
    dims, _, large = cohorts
    train = ["train", large / "cohort.csv", "--out", tmp_path / "run", *QUICK, "--shrink"]
    assert "--shrink '0': expected a whole number above 0" in fails(*train, 0)
    assert "--shrink '2,x': expected" in fails(*train, "2,x")
    assert f"to shrink by 2,2,2,2, 4 factors, where the images are {dims}D" in fails(*train, "2,2,2,2")
    if dims == 3:
        assert "train with --shrink 2,2,1" in fails(*train, 2, "--slice-axis", "k")
        said = fails("predict", large / "run", large / "000.nii.gz", "--out", tmp_path / "out", "--slice-axis", "j")
        assert "--slice-axis j of images that are shrunk along it, by 2,3,1" in said
    assert not (tmp_path / "run").exists()


def test_values_are_judged_as_the_network_sees_them(cohorts: tuple[int, Path, Path]):
    trained = load(cohorts[2] / "run")
    dims = cohorts[0]
    grain = np.zeros((1, *np.multiply((4, 4, 4)[:dims], SHRINK[dims])), np.float32)
    grain[(0, *(0,) * dims)] = 51 * trained.highest_value  # which is spread over its block
    assert trained.ready(grain).shape[1:] == (4, 4, 4)[:dims]
    assert trained.ready(grain).max() == pytest.approx(grain.max() / np.prod(SHRINK[dims]), rel=1e-5)
