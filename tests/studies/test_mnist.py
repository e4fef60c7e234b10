"""The MNIST study: what it consists of, and small runs of its units."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakspot.data.digit_pools import load_pools
from weakspot.data.digits import Grids
from weakspot.detection.peaks import SCORES
from weakspot.errors import InputError
from weakspot.settings import to_dict
from weakspot.studies.digits import digit_recipe
from weakspot.studies.mnist import study_units
from weakspot.studies.mnist_data import MnistSettings, describe, digit_data
from weakspot.studies.mnist_summary import what_was_run
from weakspot.studies.mnist_units import Evaluation, Training
from weakspot.studies.published import published
from weakspot.studies.readings import READINGS, unevenness
from weakspot.studies.results import read_results, tables
from weakspot.studies.runner import run_here
from weakspot.studies.units import Outcome, Place, done, key, pending
from weakspot.training.recipes import choose_recipe

TINY = MnistSettings(choose_recipe("fast", steps=2), "digits", (16, 8, 12), 2)


def test_the_study_is_100_trainings_and_140_evaluations():
    units = study_units(TINY)
    names = [unit.name for unit in units]
    assert len(set(names)) == 240
    assert sum(isinstance(unit, Training) for unit in units) == 100
    for place, unit in enumerate(units):
        assert all(names.index(needed) < place for needed in unit.needs)
    # What tells most comes first: digit 4 whole, then regression, classification and the variants.
    trained = [unit for unit in units if isinstance(unit, Training)]
    assert [(each.objective, each.digit) for each in trained[:8]] == 4 * [("regression", 4)] + 4 * [
        ("classification", 4)
    ]
    assert {each.architecture for each in trained[8:26]} == {"gp_unet", "gp_unet_no_residual"}
    assert {each.architecture for each in trained[26:44]} == {"gated_attention", "base"}
    assert {each.objective for each in trained[:44][8:]} == {"regression"}
    assert {each.objective for each in trained[44:80]} == {"classification"}
    assert {each.architecture for each in trained[80:]} == {"gp_unet_no_skip", "gp_unet_max_pool"}


def test_a_part_of_the_study_trains_the_base_network_once():
    units = study_units(TINY, [3], ["grad_cam", "grad", "guided_backprop"], ["regression"])
    assert [type(unit) for unit in units] == [Training, *3 * [Evaluation]]
    assert len({unit.needs for unit in units[1:]}) == 1
    assert len(study_units(TINY, [3], ["grad"], ["regression"], seeds=3)) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([10],), "no digit 10 in the study"),
        (([1], ["unet"]), "no method 'unet'.*gp_unet_max_pool"),
        (([1], ["grad"], ["ranking"]), "no objective 'ranking'"),
        (([1], ["gp_unet_no_skip"], ["classification"]), "under regression only"),
    ],
)
def test_what_is_not_of_the_study_is_refused(arguments: tuple[list[object], ...], message: str):
    with pytest.raises(InputError, match=message):
        study_units(TINY, *arguments)


def test_the_committed_records_are_those_of_the_default_settings():
    """What was run before must count as done: neither names nor keys of units may change."""
    committed = Place(Path(__file__).parents[2] / "studies" / "results" / "mnist")
    settings = MnistSettings(digit_recipe("fast"), committed.settings()["digits"])
    units = study_units(settings)
    known = {unit.name: key(unit) for unit in units}
    records = {name: committed.record(name)["key"] for name in committed.names()}
    assert len(records) >= 4
    assert records == {name: known[name] for name in records}
    # Written down, lest both sides change together.
    assert records["train-regression-gp_unet-4-seed0"] == "32261aabe541be9b"
    assert records["evaluate-regression-gp_unet-4-seed0"] == "4db8028b3d00ac4c"
    left = {unit.name for unit in pending(units, committed)}
    needed = {name for unit in units if not done(unit, committed) for name in unit.needs}
    assert left & records.keys() <= needed  # networks that are not here, of evaluations that are missing
    assert read_results(committed).left_out == {}


def test_digits_are_told_apart(digits_file: Path):
    pools = load_pools(digits_file)
    assert describe(pools).startswith("160 + 40 + 50 digits, ")
    changed = pools.test.images.copy()
    changed[0, 0, 0] ^= 1
    assert describe(pools) != describe(pools._replace(test=replace(pools.test, images=changed)))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, digits_file: Path) -> Place:
    """Give a study of digit 4 under regression with three methods, run in this process."""
    place = Place(tmp_path_factory.mktemp("study"))
    place.begin(to_dict(TINY))
    assert run(place, digits_file) == []
    return place


def run(place: Place, source: Path, **chosen: object) -> list[Outcome]:
    given = {"digits": [4], "methods": ["gp_unet", "grad_cam", "grad"], "objectives": ["regression"], **chosen}
    todo = pending(study_units(TINY, source=str(source), **given), place)
    return [each for each in run_here(todo, place, lambda outcomes: None, 1) if each.error]


def test_a_run_leaves_figures_with_intervals_curves_and_maps(small: Place):
    result = small.record("evaluate-regression-gp_unet-4-seed0")["result"]
    for score in SCORES:
        for figure in ("fauc", "sensitivity"):
            low, high = result[score][figure]["ci95"]
            assert 0 <= low <= result[score][figure]["value"] <= high <= 1
    assert result["smoothed"]["fauc"] == result["thresholded"]["fauc"]  # of the same detections, in the same order
    assert result["tuned"].keys() > {"sigma_vox", "threshold", "by_threshold", "count_error"}
    assert np.all(np.diff(result["curve"]) >= 0)
    # The reading that the figures are of is among the readings.
    at_paper = result["readings"]["gated image threshold"]
    assert at_paper == [result["height"][name]["value"] for name in ("fauc", "sensitivity", "fpavg", "fnavg")]
    assert set(result["readings"]) == set(READINGS)
    assert len(READINGS) == 12
    for which in ("most", "none"):
        image = np.asarray(Image.open(small.units / f"image-4-{which}.png"))
        shown = np.asarray(Image.open(small.units / f"evaluate-regression-gp_unet-4-seed0-{which}.png"))
        assert image.shape == shown.shape == (196, 140)
        assert shown.max() in (0, 255)
    targets = np.array(result["shown"]["most"]["targets"])
    rows = digit_data(small.work(), TINY, 4, None).test.labels == 4
    assert len(targets) == rows.sum((1, 2)).max()
    training = small.record("train-regression-gp_unet-4-seed0")["result"]
    assert training["steps"] == 2
    assert training["environment"]["threads"] == 1
    assert len(training["log"]["validation_loss"]) == 1


def test_the_images_of_a_digit_are_made_once_and_are_the_same_again(tmp_path: Path, digits_file: Path):
    first = digit_data(tmp_path, TINY, 4, str(digits_file))
    again = digit_data(tmp_path, TINY, 4, str(tmp_path / "no such file"))
    assert np.array_equal(first.test.images, again.test.images)
    assert again.test.digit == 4
    other = digit_data(tmp_path, replace(TINY, data_seed=1), 4, str(digits_file))  # not those of other settings
    assert not np.array_equal(first.test.images, other.test.images)
    assert len(digit_data(tmp_path, replace(TINY, sizes=(16, 8, 13)), 4, str(digits_file)).test) == 13
    again = digit_data(tmp_path, replace(TINY, width=4), 4, str(tmp_path / "no such file"))
    assert np.array_equal(first.test.images, again.test.images)
    for path in tmp_path.glob("digits-*/digit_4.npz"):
        path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"digit_4\.npz is damaged.*remove it"):
        digit_data(tmp_path, TINY, 4, str(digits_file))


def test_what_is_missing_is_run_again_and_nothing_else(small: Place, digits_file: Path):
    records = {path.name: path.stat().st_mtime_ns for path in small.units.glob("*.json")}
    (small.units / "evaluate-regression-grad-4-seed0.json").unlink()
    assert run(small, digits_file) == []
    after = {path.name: path.stat().st_mtime_ns for path in small.units.glob("*.json")}
    assert {name for name in records if records[name] != after[name]} == {"evaluate-regression-grad-4-seed0.json"}


def test_a_record_counts_as_done_without_its_network(small: Place, tmp_path: Path, digits_file: Path):
    clone = Place(tmp_path)
    clone.begin({})
    for path in small.units.glob("*.json"):
        (clone.units / path.name).write_bytes(path.read_bytes())
    units = study_units(TINY, [4], ["gp_unet", "grad_cam", "grad"], ["regression"], source=str(digits_file))
    assert pending(units, clone) == []
    wanted = study_units(TINY, [4], ["gp_unet", "guided_backprop"], ["regression"], source=str(digits_file))
    again = ["train-regression-base-4-seed0", "evaluate-regression-guided_backprop-4-seed0"]
    assert [unit.name for unit in pending(wanted, clone)] == again
    other = replace(TINY, sizes=(16, 8, 13))
    assert not any(done(unit, clone) for unit in study_units(other, [4], ["gp_unet"], ["regression"]))


def test_a_failed_unit_does_not_stop_the_others(tmp_path: Path, digits_file: Path):
    place = Place(tmp_path)
    place.begin({})
    digit_data(place.work(), TINY, 3, str(digits_file))
    (damaged,) = place.work().glob("digits-*/digit_3.npz")
    damaged.write_bytes(b"not an archive")
    chosen = {"digits": [3, 4], "methods": ["gp_unet"]}
    failed = run(place, digits_file, **chosen)
    assert [each.name for each in failed] == [f"{kind}-regression-gp_unet-3-seed0" for kind in ("train", "evaluate")]
    assert "digit_3.npz is damaged" in str(failed[0].error)
    assert place.record("evaluate-regression-gp_unet-4-seed0") is not None
    damaged.unlink()
    assert run(place, digits_file, **chosen) == []


def test_a_network_of_other_settings_is_not_evaluated(small: Place, tmp_path: Path, digits_file: Path):
    """As when settings and records come from another clone, and the folder of work stays."""
    place = Place(tmp_path)
    other = replace(TINY, width=3)
    place.begin(to_dict(other))
    shutil.copytree(small.work(), place.work(), dirs_exist_ok=True)
    units = study_units(other, [4], ["gp_unet"], ["regression"], source=str(digits_file))
    assert [unit.name for unit in pending(units, place)] == [unit.name for unit in units]
    assert not any(unit.ready(place) for unit in units if isinstance(unit, Training))


def test_records_of_other_settings_are_left_out_and_named(small: Place, tmp_path: Path):
    place = Place(tmp_path)
    place.begin(to_dict(TINY))
    shutil.copytree(small.units, place.units, dirs_exist_ok=True)
    changed, damaged = "evaluate-regression-grad-4-seed0", "evaluate-regression-gp_unet-4-seed0"
    path = place.units / f"{changed}.json"
    path.write_text(path.read_text().replace(place.record(changed)["key"], "0" * 16))
    (place.units / f"{damaged}.json").write_text("{")
    shutil.copy(path, place.units / "evaluate-regression-unet-4-seed0.json")
    (place.units / "image-4-none.png").write_bytes(b"no picture")
    results = read_results(place)
    assert results.left_out == {
        changed: "of other settings; the study runs it again",
        damaged: "damaged; the study runs it again",
        "evaluate-regression-unet-4-seed0": "not of this study",
        "image-4-none.png": "damaged; remove its evaluation's record, and the study runs it again",
    }
    assert list(results.evaluations) == [("regression", "grad_cam", 4)]
    assert all(method == "grad_cam" for _, method, _, _ in results.maps)
    assert list(tables(results)["mnist_regression_fauc"]["values"]["4"]) == ["grad_cam"]


def test_seeds_are_averaged_and_named_in_their_order(small: Place, tmp_path: Path):
    place = Place(tmp_path)
    place.begin(to_dict(TINY))
    name = "evaluate-regression-grad-4-seed"
    (unit, *_) = (each for each in study_units(TINY, [4], ["grad"], ["regression"], 1) if each.name == f"{name}0")
    for seed, value in ((10, 0.5), (0, 0.7), (2, 0.6004)):
        record = small.record(unit.name)
        record["key"] = key(replace(unit, training=replace(unit.training, seed=seed)))
        ends = [value - 0.1, value + 0.1] if seed else [value - 0.1, None]
        record["result"]["height"]["fauc"] |= {"value": value, "ci95": ends}
        (place.units / f"{name}{seed}.json").write_text(json.dumps(record))
    results = read_results(place)
    assert [each["seed"] for each in results.evaluations["regression", "grad", 4]] == [0, 2, 10]
    written = tables(results)["mnist_regression_fauc"]
    assert written["values"]["4"]["grad"] == {"value": 60.0, "ci95": [50.0, None]}
    assert "NaN" not in json.dumps(tables(results), allow_nan=False)
    assert "A cell is the mean over its seeds: seeds 0, 2, 10 in 1 cells." in what_was_run(place, results)


def test_the_summary_has_the_form_of_the_published_tables(small: Place):
    ours, paper = tables(read_results(small)), published()
    assert list(ours) == [name for name in paper if name.startswith("mnist_")]
    for name, table in ours.items():
        assert table.keys() == paper[name].keys()
    assert list(ours["mnist_regression_fauc"]["values"]) == ["4"]
    cell = ours["mnist_regression_fauc"]["values"]["4"]["grad"]
    result = small.record("evaluate-regression-grad-4-seed0")["result"]["height"]["fauc"]
    assert cell == {"value": round(100 * result["value"], 1), "ci95": [round(100 * end, 1) for end in result["ci95"]]}
    assert ours["mnist_regression_fauc"]["average"]["grad"] == {"mean": cell["value"], "std": 0}
    assert list(ours["mnist_architecture_fauc"]["values"]["4"]) == ["gp_unet"]
    assert ours["mnist_classification_fauc"]["values"] == {}
    json.dumps(ours, allow_nan=False)


def test_unevenness_by_hand():
    labels = np.full((3, 7, 5), 1, np.uint8)
    labels[0, 0, 0], labels[0, 6, 4] = 9, 9
    labels[1, 2, 2] = 9
    maps = np.zeros((3, 196, 140), np.float32)
    maps[0, 5, 5], maps[0, 170, 120] = 1, 3  # two targets: mean 2, standard deviation 1
    maps[1, 60, 60] = 2
    maps[2, 0, 0], maps[2, 100, 100] = -5, 0.5  # no target; targets have 2 on average
    grids = Grids(np.zeros((3, 1, 196, 140), np.uint8), labels, 9)
    assert unevenness(list(maps), grids) == {"spread": 0.5, "empty": 0.25}
