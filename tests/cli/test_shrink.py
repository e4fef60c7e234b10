"""Networks of shrunk images: trained and searched as if the images were small, told as they are."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.test_cli import fails, run
from weakspot.data.images import read_image
from weakspot.data.points import read_points
from weakspot.data.scans import read_scan, write_scan
from weakspot.data.shrinking import carried_back, enlarged, shrunk
from weakspot.geometry import to_world
from weakspot.training.run import load

QUICK = ["--steps", 4, "--batch-size", 4, "--width", 2, "--threads", 1]
SHRINK = {2: (3, 2), 3: (2, 3, 1)}
AFFINE = np.array([[0, -2.0, 0, 5], [1.5, 0, 0, -7], [0, 0, 3, 11], [0, 0, 0, 1]])  # of the large scans


def text_of(dims: int) -> str:
    return ",".join(map(str, SHRINK[dims]))


@pytest.fixture(scope="module", params=[2, 3], ids=["images", "scans"])
def cohorts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path, Path]:
    """Large images of several sizes, with blocks that do not fit, and the means of their blocks, with a run of each."""
    dims, rng, rows = request.param, np.random.default_rng(0), []
    small, large = (tmp_path_factory.mktemp(name) for name in ("small", "large"))
    factors = SHRINK[dims]
    for index in range(24):
        pixels = rng.integers(0, 13, (40 - index % 3, 29 - index % 2, 9)[:dims]).astype(np.float32) / 64
        for place in range(index % 3):
            pixels[12 * place + 2 : 12 * place + 8, 9:18] += 45 / 64
        name = f"{index:03d}.{'npy' if dims == 2 else 'nii.gz'}"
        for folder, values in ((small, shrunk(pixels[None], factors)[0]), (large, pixels)):
            if dims == 2:
                np.save(folder / name, values)
            else:
                write_scan(folder / name, values, AFFINE @ np.diag([*((1, 1, 1) if folder == large else factors), 1]))
        rows.append((f"{index:03d}", name, index % 3, ("train", "val")[index // 12], index % 4 + 2, 1.5, 2.0))
    for folder, times in ((large, (1, 1)), (small, factors)):
        table = pd.DataFrame(rows, columns=["id", "image", "count", "split", "slice", "spacing_y", "spacing_x"])
        table["spacing_y"] *= times[0]
        table["spacing_x"] *= times[1]
        if dims == 2:
            table = table.drop(columns="slice")
        table.to_csv(folder / "cohort.csv", index=False)
    slices = ["--slice-axis", "k"] if dims == 3 else []
    run("train", small / "cohort.csv", "--out", small / "run", *QUICK, *slices)
    said = run("train", large / "cohort.csv", "--out", large / "run", *QUICK, *slices, "--shrink", text_of(dims)).stdout
    assert f"12 to validate, shrunk to {'14x15' if dims == 2 else '20x10x9'}, on cpu" in said
    return dims, small, large


def test_the_network_is_that_of_small_images(cohorts: tuple[int, Path, Path]):
    dims, small, large = cohorts
    assert (large / "run" / "weights.safetensors").read_bytes() == (small / "run" / "weights.safetensors").read_bytes()
    one, other = (json.loads((folder / "run" / "settings.json").read_text()) for folder in (small, large))
    assert other["data"].pop("shrink") == list(SHRINK[dims])
    assert one == other
    assert (large / "run" / "tuned.json").read_text() == (small / "run" / "tuned.json").read_text()


@pytest.mark.parametrize(
    "options", [(), ("--size-mm", 6.7), ("--score", "mass"), ("--slice-axis", "k"), ("--workers", 1)], ids=str
)
def test_points_and_maps_are_those_of_small_images_carried_back(
    cohorts: tuple[int, Path, Path], options: tuple[object, ...], tmp_path: Path
):
    dims, small, large = cohorts
    if dims == 2 and {"k", "--workers"} & set(options):
        pytest.skip("images have no slices; workers with scans are enough")
    for folder, name in ((small, "one"), (large, "other")):
        chosen = () if folder == small and "--workers" in options else options
        run("predict", folder / "run", folder / "cohort.csv", "--out", tmp_path / name, "--maps", *chosen)
    one, other = tmp_path / "one", tmp_path / "other"
    assert (one / "counts.csv").read_text() == (other / "counts.csv").read_text()
    assert len(read_points(one / "detections.csv"))
    shapes = {path.name.split(".")[0]: read_image(path).shape[1:] for path in large.glob("0*")}
    for table in ("detections.csv", "counted.csv"):
        before, after = (read_points(folder / table) for folder in (one, other))
        assert list(before) == list(after)
        for name, points in before.items():
            back = carried_back(points.coordinates, SHRINK[dims], shapes[name])
            assert np.allclose(after[name].coordinates, back, atol=1e-4)
            assert np.array_equal(after[name].scores, points.scores)
            if dims == 3:
                assert np.allclose(after[name].world_mm, to_world(back, AFFINE), atol=1e-3)
    for path in sorted((one / "maps").iterdir()):
        if dims == 2:
            before, after = (np.load(folder / "maps" / path.name) for folder in (one, other))
        else:
            before, after = (read_scan(folder / "maps" / path.name).values for folder in (one, other))
        assert np.array_equal(after, enlarged(before, SHRINK[dims], shapes[path.name.split(".")[0]]))
    told = json.loads((other / "predict.json").read_text())
    assert told["shrunk_by"] == list(SHRINK[dims])


def test_tuning_in_mm_is_that_of_small_images(cohorts: tuple[int, Path, Path]):
    for folder in cohorts[1:]:
        run("tune", folder / "run", folder / "cohort.csv", "--size-mm", 6.7)
    one, other = (json.loads((folder / "run" / "tuned.json").read_text()) for folder in cohorts[1:])
    assert one == other
    assert one["tuned"][-1]["sought"]["unit"] == "mm"


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
    assert "is complete: nothing to train" in run(*further, "--out", tmp_path / "alike", "--resume").stdout


def test_what_cannot_be_shrunk_so(cohorts: tuple[int, Path, Path], tmp_path: Path):
    dims, _, large = cohorts
    train = ["train", large / "cohort.csv", "--out", tmp_path / "run", *QUICK, "--shrink"]
    assert "--shrink '0': expected a whole number above 0" in fails(*train, 0)
    assert "--shrink '2,x': expected" in fails(*train, "2,x")
    assert fails(*train, "2,2,2,2") == f"error: 4 factors (2,2,2,2) to shrink images in {dims}D by: give one, or {dims}"
    assert fails(*train, 10**30).endswith(f"have at most {'x'.join('1' * dims)} voxels: shrink them less")
    if dims == 3:
        assert "train with --shrink 2,2,1" in fails(*train, 2, "--slice-axis", "k")
        said = fails("predict", large / "run", large / "000.nii.gz", "--out", tmp_path / "out", "--slice-axis", "j")
        assert "--slice-axis j of images that are shrunk along it, by 2,3,1" in said
    assert not list(tmp_path.iterdir())


def test_values_are_judged_as_the_network_sees_them(cohorts: tuple[int, Path, Path]):
    trained = load(cohorts[2] / "run")
    dims = cohorts[0]
    grain = np.zeros((1, *np.multiply((4, 4, 4)[:dims], SHRINK[dims])), np.float32)
    grain[(0, *(0,) * dims)] = 51 * trained.highest_value  # which is spread over its block
    assert trained.ready(grain).shape[1:] == (4, 4, 4)[:dims]
    assert trained.ready(grain).max() == pytest.approx(grain.max() / np.prod(SHRINK[dims]), rel=1e-5)
