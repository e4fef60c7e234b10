"""The brain study: what it consists of, what its units hang on, and a small run of them."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from torch import nn

from tests.data.phantom.conftest import box_brain
from tests.test_cli import fails, run
from weakspot.data.phantom.anatomy import Sources
from weakspot.data.phantom.settings import REGIONS
from weakspot.detection import Candidates
from weakspot.detection.peaks import SCORES
from weakspot.errors import InputError
from weakspot.predict import Prediction, moved_back
from weakspot.settings import from_dict, to_dict
from weakspot.studies.brain import EVALUATED, METHODS, study_units
from weakspot.studies.brain_data import Phantoms, conventions_of, filter_size, read_volumes
from weakspot.studies.brain_report import write_report
from weakspot.studies.brain_results import read_results, tables
from weakspot.studies.brain_settings import (
    SIZES,
    SPACING_MM,
    BrainSettings,
    brain_recipes,
    choose_sizes,
    phantom_settings,
)
from weakspot.studies.brain_units import CURVE_FP, RESAMPLES_KEPT, Evaluation, Training
from weakspot.studies.brain_widths import response_widths
from weakspot.studies.published import published
from weakspot.studies.runner import run_here
from weakspot.studies.units import Place, done, key, pending
from weakspot.training.settings import Examples, FitSettings

SETTINGS = BrainSettings(SIZES["laptop"], brain_recipes(), {"map": "hash"})


def test_the_study_is_7_methods_in_4_regions_under_7_conditions():
    units = study_units(SETTINGS)
    names = [unit.name for unit in units]
    assert len(set(names)) == len(units) == 16 + 64 + 196
    for place, unit in enumerate(units):
        assert all(names.index(needed) < place for needed in unit.needs)
    evaluations = [unit for unit in units if isinstance(unit, Evaluation)]
    cells = {(each.condition, each.method, each.phantoms.region) for each in evaluations}
    assert cells == {(c, m, r) for c in EVALUATED for m in METHODS for r in REGIONS}
    # The default condition comes first, whole, and the midbrain before what is fine-tuned from it.
    assert {each.condition for each in evaluations[:28]} == {"default"}
    assert [each.phantoms.region for each in evaluations[:28:7]] == list(REGIONS)


def test_networks_begin_with_the_midbrain_s_and_under_a_condition_with_the_region_s_own():
    trainings = {unit.name: unit for unit in study_units(SETTINGS) if isinstance(unit, Training)}
    starts = {name: each.start and each.start.name for name, each in trainings.items()}
    assert starts["train-default-base-midbrain-seed0"] is None
    assert starts["train-default-base-hippocampi-seed0"] == "train-default-base-midbrain-seed0"
    assert starts["train-faint-base-midbrain-seed0"] == "train-default-base-midbrain-seed0"
    assert starts["train-faint-base-hippocampi-seed0"] == "train-default-base-hippocampi-seed0"
    steps = {name: each.recipe.steps for name, each in trainings.items()}
    assert [steps[f"train-{name}-seed0"] for name in ("default-base-midbrain", "default-base-hippocampi")] == [800, 600]
    assert steps["train-faint-base-midbrain-seed0"] == 200


def test_a_part_of_the_study_has_what_it_needs():
    names = [unit.name for unit in study_units(SETTINGS, ["hippocampi"], ["grad", "intensity"], ["bright"])]
    assert names == [
        "phantoms-default-midbrain",
        "train-default-base-midbrain-seed0",
        "phantoms-default-hippocampi",
        "train-default-base-hippocampi-seed0",
        "phantoms-bright-hippocampi",
        "evaluate-bright_unseen-grad-hippocampi-seed0",
        "train-bright-base-hippocampi-seed0",
        "evaluate-bright-grad-hippocampi-seed0",
        "evaluate-bright_unseen-intensity-hippocampi-seed0",
        "evaluate-bright-intensity-hippocampi-seed0",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["thalamus"],), "no region 'thalamus'.*midbrain"),
        ((["midbrain"], ["unet"]), "no method 'unet'.*intensity"),
        ((["midbrain"], ["grad"], ["dark"]), "no condition 'dark'"),
    ],
)
def test_what_is_not_of_the_study_is_refused(arguments: tuple[list[str], ...], message: str):
    with pytest.raises(InputError, match=message):
        study_units(SETTINGS, *arguments)
    with pytest.raises(InputError, match="no sizes 'huge': choose one of laptop, paper"):
        choose_sizes("huge")


def test_a_hit_is_as_near_in_mm_at_any_resolution():
    for sizes in SIZES.values():
        # Six voxels of 0.49 x 0.49 x 0.8 mm, along every axis.
        assert np.allclose(sizes.reach_vox * np.array(sizes.spacing_mm), 6 * np.array(SPACING_MM))
        assert conventions_of(sizes).radius == sizes.reach_vox == filter_size(sizes)
        assert conventions_of(sizes).max_fp == 15
    assert SIZES["paper"].spacing_mm == SPACING_MM
    assert brain_recipes().further.resampled_until == 0  # PVS are a voxel wide at half the resolution
    assert brain_recipes("paper").further.resampled_until == 1
    assert SIZES["paper"].hippocampi == (168, 128, 84)


def test_conditions_change_what_they_name_alone():
    default, bright, clean = (
        phantom_settings(SIZES["laptop"], name) for name in ("default", "bright", "no_distractors")
    )
    assert default.scan.spacing_mm == (0.98, 0.98, 1.6)
    assert bright.hippocampi.contrast == pytest.approx((0.7, 1.0))  # 0.55 twice is more than fluid
    assert replace(bright.hippocampi, contrast=default.hippocampi.contrast) == default.hippocampi
    assert clean.hippocampi.sulci == 0
    assert replace(clean.hippocampi, sulci=default.hippocampi.sulci) == default.hippocampi


def test_settings_survive_their_file_and_keys_hang_on_what_matters():
    assert from_dict(BrainSettings, json.loads(json.dumps(to_dict(SETTINGS)))) == SETTINGS
    one = {unit.name: key(unit) for unit in study_units(SETTINGS, device="cpu")}
    assert one == {unit.name: key(unit) for unit in study_units(SETTINGS, device="meta", labels=Path("elsewhere"))}
    longer = replace(SETTINGS, recipes=brain_recipes(steps=(800, 600, 300)))
    other = {unit.name: key(unit) for unit in study_units(longer)}
    changed = {name for name in one if one[name] != other[name]}
    assert changed == {
        name
        for name in one
        if name.startswith(
            tuple(
                f"{kind}-{condition}-"
                for kind in ("train", "evaluate")
                for condition in ("no_distractors", "bright", "faint")
            )
        )
    }


def test_the_width_of_a_response_is_that_of_its_half_height():
    attention = np.zeros((12, 12, 3))
    attention[2:4, 2:5, 1] = 2  # six voxels
    attention[5, 3, 1] = 1  # a half as high, and touching: the seventh
    attention[6, 3, 1] = 0.9
    attention[9, 9, 0] = 1
    points = np.array([[3.0, 3, 1], [9, 9, 1], [3, 9, 1]])
    widths = response_widths(attention - 0.01, points, 1.5, (0.5, 0.5, 2))
    # Without the hundredth taken off, the seventh would be exactly a half: 0.99 is below 1.99 / 2.
    assert widths[0] == pytest.approx(2 * np.sqrt(6 * 0.25 / np.pi))
    assert response_widths(attention, points, 1.5, (0.5, 0.5, 2))[0] == pytest.approx(2 * np.sqrt(6 * 0.25 / np.pi))
    touching = attention.copy()
    touching[4, 3, 1] = 1
    assert response_widths(touching, points, 1.5, (0.5, 0.5, 2))[0] == pytest.approx(2 * np.sqrt(8 * 0.25 / np.pi))
    assert widths[1] == pytest.approx(2 * np.sqrt(0.25 / np.pi))  # in the slice below
    assert np.isnan(widths[2])
    flat = response_widths(attention[:, :, 1], points[:1, :2], 1.5, (0.5, 0.5))
    assert flat == pytest.approx(widths[:1])


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the brain of boxes as a label map."""
    folder = tmp_path_factory.mktemp("labels")
    values, affine = box_brain()
    nibabel.save(nibabel.Nifti1Image(values.astype(np.int16), affine), folder / "boxes.nii.gz")
    return folder


TINY = {"phantoms": 11, "width": 2, "midbrain": (28, 28, 8), "basal_ganglia": (70, 48, 14)}
METHODS_RUN = ["gp_unet", "grad", "intensity"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, labels: Path) -> Place:
    """Give a study of two regions, the midbrain under two conditions, run in this process."""
    sizes = choose_sizes("laptop", **TINY)
    settings = BrainSettings(sizes, brain_recipes(steps=(3, 2, 2)), Sources(labels).describe())
    place = Place(tmp_path_factory.mktemp("study"))
    place.begin(to_dict(settings))
    for region, condition in (("basal_ganglia", "default"), ("midbrain", "faint"), ("midbrain", "default")):
        units = study_units(settings, [region], METHODS_RUN, [condition], labels=labels)
        outcomes = run_here(pending(units, place), place, lambda outcomes: None, 1)
        assert [each for each in outcomes if each.error] == []
        assert pending(units, place) == []
    return place


def test_records_hold_figures_and_what_tests_need(small: Place):
    results = read_results(small)
    assert results.left_out == {}
    assert len(results.evaluations) == 3 * 4
    made = results.phantoms["default", "midbrain"]
    assert (made["phantoms"], made["test"]) == (11, 5)
    for side in (*made["rater"], *made["rater_truth"]):
        assert 0 < side["sensitivity"]["value"] <= 1
    for (condition, _, region), (result,) in results.evaluations.items():
        counts = np.array(results.phantoms[condition.removesuffix("_unseen"), region]["counts"])
        fp, fn, shares = (np.array(result[name], float) for name in ("fp", "fn", "sensitivities"))
        assert result["height"]["fpavg"]["value"] == pytest.approx(fp.mean(), rel=1e-3)
        assert (fn <= counts).all()
        assert np.nanmean(shares) == pytest.approx(result["height"]["sensitivity"]["value"], abs=1e-3)
        assert len(result["curve"]) == len(CURVE_FP)
        low, high = result["height"]["fauc"]["ci95"]
        assert len(result["fauc_resampled"]) == RESAMPLES_KEPT
        assert low <= np.nanmean(np.array(result["fauc_resampled"], float)) <= high
        assert (result["centred"] is None) == (result["displaced_vox"] is None)
        for side in (result, result["centred"] or result):
            scored = [score for score in SCORES if score in side]
            assert scored == (list(SCORES) if condition == "default" else ["height"])
            assert all(0 <= side[score]["fauc"]["value"] <= 1 for score in scored)
        assert bool(result["centred"]) == bool(np.rint(result["displaced_vox"] or 0).any())
    # Same phantoms, same PVS; and intensity needs no network but for the count.
    assert results.phantoms["faint", "midbrain"]["counts"] == made["counts"]
    own, unseen = (results.evaluations[name, "intensity", "midbrain"][0] for name in ("faint", "faint_unseen"))
    assert own["height"]["fauc"] == unseen["height"]["fauc"]
    bright, faint = (results.evaluations[name, "intensity", "midbrain"][0] for name in ("default", "faint"))
    assert bright["height"]["fauc"]["value"] > faint["height"]["fauc"]["value"]


def test_maps_are_moved_back_by_what_the_network_s_own_validation_phantoms_tell(
    small: Place, monkeypatch: pytest.MonkeyPatch
):
    study = from_dict(BrainSettings, small.settings())
    units = {unit.name: unit for unit in study_units(study)}
    asked, moved = [], []

    def told(network: nn.Module, method: str, settings: FitSettings, examples: Examples, shape: object) -> object:
        asked.append((method, examples.ids, float(examples.images.batch(np.arange(1)).sum())))
        return answer

    def recorded(attention: np.ndarray, by: Sequence[float]) -> np.ndarray:
        moved.append(tuple(by))
        return moved_back(attention, by)

    monkeypatch.setattr("weakspot.studies.brain_units.displaced_by_maps", told)
    monkeypatch.setattr("weakspot.studies.brain_units.moved_back", recorded)
    own, unseen = (units[f"evaluate-{each}-intensity-midbrain-seed0"] for each in ("default", "faint_unseen"))
    answer: tuple[float, ...] | None = (6.4, 0.2, -0.3)
    far = own.run(small, lambda part: None)
    held_out = read_volumes(Phantoms(study, "midbrain", "default"), small, "val")
    assert asked == [("intensity", held_out.cohort.ids, float(held_out.images().batch(np.arange(1)).sum()))]
    assert set(moved) == {(6, 0, 0)}
    assert far["centred"].keys() == far.keys() - {"centred", "displaced_vox", "width_mm", "offset_mm", "shown"}
    for score in SCORES:  # twice the reach away from where it was
        assert far["centred"][score]["fauc"]["value"] < far[score]["fauc"]["value"]
    unseen.run(small, lambda part: None)
    assert asked[1] == asked[0]  # by the network's phantoms, not those that it is evaluated on
    answer = (0.4, 0.0, 0.0)
    assert own.run(small, lambda part: None)["centred"] == {}
    answer = None
    assert own.run(small, lambda part: None)["centred"] is None


@pytest.mark.parametrize("index", [None, 4.0])
def test_responses_are_of_pvs_found_at_the_predicted_count(index: float | None):
    study = BrainSettings(choose_sizes("laptop"), brain_recipes(), {})
    evaluation = study_units(study, ["basal_ganglia" if index else "midbrain"], ["gp_unet"], ["default"])[-1]
    assert isinstance(evaluation, Evaluation)
    attention = np.zeros((20, 20, 9), np.float32)
    attention[5:7, 5, 4] = 1
    points = np.array([[6.0, 5, 4], [15, 15, 4], [1, 18, 4]])
    heights = np.array([3.0, 2, 1])
    found = Prediction(1.6, attention, Candidates(points, heights, heights))
    truth = np.array([[5.0, 5, 4], [15, 12, 4], [1, 18, 4], [9, 9, 4]])
    widths, offsets = evaluation._responses(found, truth, index)
    dims = 3 if index is None else 2
    # Two are detected, a voxel and three from theirs; the third would be the last candidate, the fourth has none.
    np.testing.assert_allclose(offsets, (np.array([[1.0, 0, 0], [0, 3, 0]]) * [0.98, 0.98, 1.6])[:, :dims])
    np.testing.assert_allclose(widths, [2 * np.sqrt(2 * 0.98**2 / np.pi), np.nan])


def test_the_annotated_slice_is_what_is_judged(small: Place):
    results = read_results(small)
    study = from_dict(BrainSettings, small.settings())
    volumes = read_volumes(Phantoms(study, "basal_ganglia", "default"), small)
    assert volumes.truth().points.shape[1] == 2
    assert (
        len(volumes.truth().points)
        == volumes.cohort.counts.sum() - results.phantoms["default", "basal_ganglia"]["outside"]
    )
    assert read_volumes(Phantoms(study, "midbrain", "default"), small).truth().points.shape[1] == 3
    index, height = volumes.fullest()
    assert height == volumes.slices[index]
    assert volumes.truth().counts[index] == volumes.truth().counts.max()


def test_what_is_shown_lies_where_the_image_has_it(small: Place):
    results = read_results(small)
    image, targets = results.images["midbrain"], results.targets("midbrain")
    assert image.shape == (28, 28)
    assert len(targets)
    y, x = np.rint(targets).astype(int).T
    assert image[y, x].mean() > image[image > 0].mean()  # PVS are bright
    assert results.maps["intensity", "midbrain"] * 255 == pytest.approx(image.astype(float), abs=2)


def test_the_report_says_that_ours_are_phantoms(small: Place, tmp_path: Path):
    page = tmp_path / "docs" / "brain.md"
    write_report(small, page)
    text = page.read_text()
    assert "**Ours are phantoms, not patients**" in text
    for number in range(1, 5):
        (title,) = (line for line in text.splitlines() if line.startswith(f"**Table {number}."))
        assert "ours are phantoms, not patients" in title
    assert "| midbrain | ours, phantoms | " in text
    (sharper,) = (line for line in text.splitlines() if "maps are sharper than" in line)
    assert sharper.endswith("| not measured | not in its tables |")  # of maps moved back there are no widths
    assert re.search(
        r"^\| Basal ganglia \| Grad( \| [*]*\d+\.\d[*]*){3}( \| ([*]*\d+\.\d[*]*|not defined)){3} \|$",
        text,
        re.MULTILINE,
    )
    for number in (7, 8, 10):
        assert (small.out / "figures" / f"figure_{number}.png").is_file()
    summary = json.loads((small.out / "summary.json").read_text())
    assert summary.keys() == {name for name in published() if name.startswith("brain_")}
    assert summary == json.loads(json.dumps(tables(read_results(small))))
    cell = summary["brain_fauc"]["values"]["basal_ganglia"]["grad"]
    assert cell["ci95"][0] <= cell["value"] <= cell["ci95"][1]


def test_the_command_lists_and_goes_on_with_records(small: Place, labels: Path, tmp_path: Path):
    listed = run("study", "brain", "--out", tmp_path / "none", "--labels", labels, "--dry-run").stdout
    assert "276 units: 0 done, 276 to run" in listed
    assert not (tmp_path / "none").exists()
    assert "was begun with other settings" in fails("study", "brain", "--out", small.out, "--labels", labels)
    assert "summary.json" in run("study", "brain", "--out", small.out, "--report").stdout
    assert "is no study" in fails("study", "brain", "--out", tmp_path, "--report")
    assert "expected three numbers" in fails("study", "brain", "--out", tmp_path, "--steps", "3")
    assert done(study_units(from_dict(BrainSettings, small.settings()))[0], small)
