"""Tables, figures and page of a study, from records."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakspot.errors import InputError
from weakspot.report.study_figures import Tile, bars_figure, curves_figure, maps_figure
from weakspot.report.study_tables import beside
from weakspot.settings import to_dict
from weakspot.studies import mnist_report
from weakspot.studies.fauc import Fauc
from weakspot.studies.mnist import ALL, METHODS, study_units
from weakspot.studies.mnist_data import MnistSettings
from weakspot.studies.mnist_figures import figures
from weakspot.studies.mnist_report import write_report
from weakspot.studies.mnist_summary import standing
from weakspot.studies.published import published
from weakspot.studies.readings import READINGS
from weakspot.studies.results import read_results
from weakspot.studies.scores import scores_table, tuned_table
from weakspot.studies.units import Place, key
from weakspot.training.recipes import choose_recipe

PAPER = {
    "unit": "percent",
    "values": {
        row: {"a": {"value": value, "ci95": [value - 1, value + 1]}, "b": {"value": 80.0, "ci95": [79.0, 81.0]}}
        for row, value in (("0", 90.0), ("1", 70.0))
    },
    "average": {"a": {"mean": 80.0, "std": 10.0}, "b": {"mean": 80.0, "std": 0.0}},
}
OURS = {
    "unit": "percent",
    "values": {"1": {"a": {"value": 85.25, "ci95": [84.0, 86.0]}}},
    "average": {"a": {"mean": 85.2, "std": 0.0}},
}


def test_each_cell_stands_above_the_published_one():
    names = {"a": "A", "b": "B"}
    table = beside("T & %", OURS, PAPER, names, {"a": {"mean": 70.0, "std": 0.0}}, {"a": "1"}, True)
    assert table.rows == (
        ("0", "ours", "not run", "not run"),
        ("", "paper", "90.0 (89.0 - 91.0)", "80.0 (79.0 - 81.0)"),
        ("1", "ours", "85.2 (84.0 - 86.0)", "not run"),
        ("", "paper", "70.0 (69.0 - 71.0)", "80.0 (79.0 - 81.0)"),
        ("average", "ours", "85.2", "not run"),
        ("", "paper, same rows", "70.0", "not run"),
        ("", "paper, all rows", "80.0 ± 10.0", "80.0"),
        ("", "rows run", "1", "none"),
    )
    assert table.bold == {(1, 2), (3, 3)}  # the one cell of ours has nothing to be better than
    lower = beside("T", OURS, PAPER, names, {}, {}, False)
    assert lower.bold == {(1, 3), (3, 2)}
    assert "| | paper | **90.0 (89.0 - 91.0)** | 80.0 (79.0 - 81.0) |" in table.markdown().replace("|  |", "| |")
    assert r"paper, all rows & 80.0 $\pm$ 10.0 & 80.0 \\" in table.latex()
    assert r"\textbf{90.0 (89.0 - 91.0)}" in table.latex()
    assert r"\caption{T \& \%}" in table.latex()
    assert "**" not in table.text()


@pytest.mark.parametrize(("other", "marked"), [(81.3, True), (81.5, False)])
def test_what_is_not_significantly_worse_than_the_best_is_bold_too(other: float, marked: bool):
    # Standard errors of 1 / 1.96 each: a difference of the square root of 2 is significant.
    cells = {"a": {"value": 80.0, "ci95": [79.0, 81.0]}, "b": {"value": other, "ci95": [other - 1, other + 1]}}
    ours = {"unit": "percent", "values": {"1": cells}, "average": {}}
    for higher, first in ((True, 2), (False, 3)):
        table = beside("T", ours, PAPER, {"a": "A", "b": "B"}, {}, {}, higher)
        assert ((2, first) in table.bold) is marked
    cells["a"]["ci95"] = [79.0, None]  # an end that is not defined
    assert beside("T", ours, PAPER, {"a": "A", "b": "B"}, {}, {}, True).rows[2][2] == "80.0"


def test_bars_have_their_heights_and_say_what_was_not_run():
    panels = {"Digit 0": {"r": {"a": (50.0, (40.0, 70.0))}}, "Digit 1": {}}
    figure = bars_figure(panels, {"a": "A"}, {"a": "Method"}, {"r": "R"}, {"Digit 0": {"r": {"a": 60.0}}}, "FAUC")
    first, second = figure.axes
    (bar,) = first.patches
    assert bar.get_height() == 50
    (theirs,) = (line for line in first.lines if list(line.get_ydata()) == [60, 60])
    left, right = theirs.get_xdata()
    assert bar.get_x() < left < right < bar.get_x() + bar.get_width()  # across its own bar alone
    assert {tuple(error.get_segments()[0][:, 1]) for error in first.collections} == {(40, 70)}
    assert not second.patches
    assert [text.get_text() for text in second.texts] == ["not run"]
    assert [list(line.get_xdata()) for line in second.lines] == [[0.0]]  # a cross in place of the bar
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["R", "published", "not run"]


def test_raters_are_triangles_in_their_panel():
    fp, curve = np.array([0, 1, 5.0]), {"a": np.array([0, 0.5, 1.0])}
    panels = {"One": curve, "Other": curve}
    figure = curves_figure(panels, fp, {"a": "A"}, {"Other": [(0.5, 0.7), (0.6, 0.8)]}, columns=2)
    marks = [[line.get_xydata().tolist() for line in axis.lines if line.get_marker() == "^"] for axis in figure.axes]
    assert marks == [[], [[[0.5, 0.7]], [[0.6, 0.8]]]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A", "simulated rater"]


def test_curves_and_maps_are_drawn_as_given():
    fp = np.array([0, 1, 5.0])
    figure = curves_figure({"Digit 0": {"b": np.array([0, 0.5, 1.0])}}, fp, {"a": "A", "b": "B"})
    (line,) = figure.axes[0].lines
    assert line.get_ydata().tolist() == [0, 0.5, 1]
    assert [text.get_text() for text in figure.axes[0].texts] == ["not run:\nA"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A", "B"]

    attention = np.full((10, 8), -1.0)
    attention[2, 3] = 4
    tiles = [Tile("image", np.zeros((10, 8)), "image"), Tile("map", attention), Tile("none", None)]
    image, shown, missing, bar = maps_figure([tiles], [np.array([[4.5, 2.0]])], (10, 8), 4).axes
    assert "each map" in bar.get_xlabel()
    for (square,) in (image.patches, shown.patches):  # a missed target is seen on the map
        assert square.get_xy() == (0.0, 2.5)
    assert shown.images[0].get_array().min() == 0
    assert [text.get_text() for text in missing.texts] == ["not run"]


SETTINGS = MnistSettings(choose_recipe("fast", steps=7), "some digits", (4, 3, 2))


def study(folder: Path, objective: str) -> Place:
    """Write records of one training and one evaluation of GP-Unet, with the paper's figures for digit 4."""
    place = Place(folder)
    place.begin(to_dict(SETTINGS))
    value = published()[f"mnist_{objective}_fauc"]["values"]["4"]["gp_unet"]["value"] / 100
    figure = {"value": value, "sd": 0.003, "ci95": [value - 0.006, value + 0.005]}
    result = {
        "height": dict.fromkeys(("fauc", "sensitivity", "fpavg", "fnavg", "count_error"), figure),
        "mass": {"fauc": figure},
        "prominence": {"fauc": {"value": value + 0.01}},
        "smoothed": {"fauc": {"value": value + 0.02}, "fpavg": {"value": 0.25}, "fnavg": {"value": 0.25}},
        "thresholded": {name: {"value": 0.125} for name in ("fpavg", "fnavg", "count_error")},
        "tuned": {"sigma_vox": 1.5},
        "curve": np.linspace(0, 1, 61).tolist(),
        "maps": {"spread": 0.1, "empty": None},
        "shown": {"most": {"high": 2.0, "predicted": 1.0, "targets": [[13.5, 13.5]]}},
    }
    result["readings"] = {name: [value - 0.01 * number, 0.9, 0.1, 0.1] for number, name in enumerate(READINGS)}
    environment = dict.fromkeys(("device", "processor", "platform", "python", "torch", "weakspot", "threads"), "x")
    log = {"step": [7.0], "validation_loss": [0.5]}
    training = {"seconds": 600.0, "validation_loss": 0.5, "environment": environment, "log": log}
    for unit in study_units(SETTINGS, [4], ["gp_unet"], [objective]):
        content, seconds = (training, 600) if unit.name.startswith("train") else (result, 36)
        record = {"kind": unit.kind, "key": key(unit), "weakspot": "0.0.9", "seconds": seconds, "result": content}
        (place.units / f"{unit.name}.json").write_text(json.dumps(record))
    for name in ("image-4-most", f"evaluate-{objective}-gp_unet-4-seed0-most"):
        Image.fromarray(np.arange(196 * 140, dtype=np.uint8).reshape(196, 140)).save(place.units / f"{name}.png")
    return place


def test_each_figure_is_drawn_and_says_what_was_not_run(tmp_path: Path):
    place = study(tmp_path / "study", "regression")
    drawn = {name: figure for name, _, figure in figures(read_results(place), published())}
    numbers = ("4", "5", "6", "A.12", "B.13", "C.14", "C.15", "C.16")
    assert list(drawn) == [f"figure_{number}" for number in numbers]
    texts = [[text.get_text() for text in axis.texts] for axis in drawn["figure_4"].axes]
    not_run = ["not run"]  # below the image an empty place; the last is the bar of the scale
    assert texts == [[], [], not_run, not_run, [], *3 * [not_run], []]
    labels = [axis.get_xlabel() for axis in drawn["figure_5"].axes if axis.get_xlabel()]
    assert labels == ["attention (share of the highest on the lower image)", "difference of the shares"]
    pixels = np.asarray(Image.open(place.units / "evaluate-regression-gp_unet-4-seed0-most.png"))
    shown = drawn["figure_4"].axes[1].images[0].get_array()
    np.testing.assert_allclose(shown, pixels / np.quantile(pixels, 0.9995))
    assert len(drawn["figure_6"].axes[4].patches) == 1
    assert len(drawn["figure_A.12"].axes[4].lines) == 1
    for axis in drawn["figure_B.13"].axes:
        assert [text.get_text() for text in axis.texts] == ["not run"]


def test_differences_share_a_scale_around_zero():
    tiles = [Tile("a", np.full((4, 4), 0.2), "difference"), Tile("b", np.full((4, 4), -0.6), "difference")]
    first, second, bar = maps_figure([tiles], [np.zeros((0, 2))], (4, 4), 1).axes
    assert first.images[0].get_clim() == second.images[0].get_clim() == (-0.6, 0.6)
    assert bar.get_xlim() == pytest.approx((-0.6, 0.6))
    # By the cube root, as shares are: an eighth of the scale's end is half of the way.
    levels = first.images[0].norm([-0.6, -0.075, 0, 0.2, 0.6])
    np.testing.assert_allclose(levels, [0, 0.25, 0.5, 0.5 + 9 ** (1 / 3) / 6, 1])


def test_the_page_says_what_was_run_and_what_was_not(tmp_path: Path):
    place = study(tmp_path / "study", "classification")
    shutil.rmtree(place.out / "work")  # nothing but the records is read, as in a clone
    (place.out / "notes.md").write_text("Written by hand.\n")
    (place.out / "abstract.md").write_text("The gist.\n")
    page = tmp_path / "docs" / "mnist.md"
    write_report(place, page)
    text = page.read_text()
    assert "1 of 140 cells" in text
    assert "One training of each, seed 0." in text
    assert "Minutes of one training, beside whatever else ran: gp_unet 10.0. All 1: 0.2 h." in text
    assert "Minutes of one evaluation, beside whatever else ran: gp_unet 0.6. All 1: 0.0 h." in text
    assert "18.1 h one after the other" in text  # 100 trainings of 600 s and 140 evaluations of 36 s
    assert "Evaluations whose version is recorded: 1 by weakspot 0.0.9." in text
    assert "steps 7" in text
    assert "patience" not in text
    assert text.index("The gist.") < text.index("## Ours against the paper") < text.index("Written by hand.")
    assert "“So far” means that runs are missing" in text
    assert "| GP-Unet, classification | 4 | 77.1 | 77.1 | 0 | 1 | 0 |" in text
    assert "| GP-Unet, regression | not run |" in text
    assert re.search(r"\| gated image threshold \| \*\*0\.0\*\* \|", text)
    assert re.search(r"\| gated image top_k \| 1\.0 \|", text)
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    numbers = ("4", "5", "6", "A.12", "B.13", "C.14", "C.15", "C.16")
    assert [Path(picture).stem + Path(picture).suffix for picture in pictures] == [f"figure_{n}.png" for n in numbers]
    for picture in pictures:
        with Image.open(page.parent / picture) as opened:
            assert opened.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    summary = json.loads((place.out / "summary.json").read_text())
    assert summary["mnist_classification_fauc"]["values"] == {"4": {"gp_unet": {"value": 77.1, "ci95": [76.5, 77.6]}}}


def test_the_page_of_a_whole_study_says_nothing_of_missing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = study(tmp_path / "study", "regression")
    kinds = ("train", "evaluate")
    contents = {kind: json.loads(next(place.units.glob(f"{kind}-*.json")).read_text())["result"] for kind in kinds}
    contents["evaluate"]["maps"]["empty"] = 0.5
    contents["evaluate"]["shown"]["none"] = {"high": 1.0, "predicted": 0.0, "targets": []}
    for cell in (*(f"regression-{method}" for method in METHODS), "classification-gp_unet"):
        for which in ("most", "none"):
            shutil.copy(place.units / "image-4-most.png", place.units / f"evaluate-{cell}-4-seed0-{which}.png")
    for unit in study_units(SETTINGS):
        if (kind := unit.name.split("-")[0]) in contents:
            record = {"kind": unit.kind, "key": key(unit), "weakspot": "1", "seconds": 1, "result": contents[kind]}
            (place.units / f"{unit.name}.json").write_text(json.dumps(record))
    monkeypatch.setattr(mnist_report, "figures", lambda *_: [])
    page = tmp_path / "mnist.md"
    write_report(place, page)
    text = page.read_text() + (place.out / "tables.txt").read_text()
    assert "140 of 140 cells. One training" in text
    for missing in ("so far", "So far", "the others", "not run", "digits run", "rows run", "run in part", "same rows"):
        assert missing not in text
    assert "| GP-Unet max pool, regression | 0-9 | 97.8 |" in text
    assert "- regression, digits 0-9, paper: GP-Unet 96.0 > GP-Unet no skip" in text
    (place.units / "evaluate-regression-gp_unet_max_pool-7-seed0.json").unlink()
    write_report(place, page)
    assert "139 of 140 cells; the others say “not run”." in page.read_text()
    assert "“So far” means" in page.read_text()
    assert "rows run" in (place.out / "tables.txt").read_text()


def test_the_best_score_of_candidates_is_bold(tmp_path: Path):
    results = read_results(study(tmp_path / "study", "regression"))
    cell = "regression", "gp_unet", 4
    table = scores_table(results, "title", ("method",), [(("GP-Unet",), [cell, cell]), (("none",), [])])
    assert "| GP-Unet | 97.8 | 97.8 | **98.8** |" in table.markdown()
    assert "| none | not defined | not defined | not defined |" in table.markdown()


def test_what_counts_tell_is_laid_out(tmp_path: Path):
    results = read_results(study(tmp_path / "study", "regression"))
    cell, other = ("regression", "gp_unet", 4), ("regression", "gp_unet", 5)
    (found,) = results.evaluations[cell]
    results.evaluations[other] = [{**found, "tuned": {"sigma_vox": 0.5}}]
    table = tuned_table(results, "title", ("method",), [(("one",), [cell]), (("two",), [cell, other])])
    value = found["height"]["fauc"]["value"]
    assert table.header[3:6] == ("wrong at the predicted count", "smoothed", "smoothed, at the threshold")
    assert table.rows[0][1:] == ("97.8", "99.8", f"{2 * value:.2f}", "0.50", "0.25", f"{value:.2f}", "0.12", "1.5")
    assert table.rows[1][1:] == (*table.rows[0][1:-1], "0.5 to 1.5")


def test_the_page_stays_where_it_was_put(tmp_path: Path):
    place = study(tmp_path / "study", "classification")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mnist_report, "figures", lambda *_: [])
        write_report(place)
        assert (place.out / "report.md").is_file()
        (place.out / "report.md").unlink()
        page = tmp_path / "docs" / "mnist.md"
        write_report(place, page)
        page.unlink()
        moved = Place((tmp_path / "study").rename(tmp_path / "docs" / "study").resolve())
        assert (moved.out / "page.txt").read_text() == "../docs/mnist.md\n"
        (moved.out / "page.txt").write_text("../mnist.md\n")
        write_report(moved)
    assert page.is_file()
    assert not (moved.out / "report.md").exists()


def fauc(columns: dict[tuple[str, str], dict[int, float]]) -> Fauc:
    return {
        (*column, digit): (value, value - 1, value + 1)
        for column, row in columns.items()
        for digit, value in row.items()
    }


def test_means_and_ranks_are_over_the_same_digits():
    ours = fauc(
        {
            ("regression", "gp_unet"): {0: 90, 1: 80, 4: 99},
            ("regression", "grad"): {0: 70, 1: 90},
            ("regression", "gated_attention"): {4: 50},
            ("classification", "grad"): {1: 10},
        }
    )
    theirs = fauc({(o, m): dict.fromkeys(range(10), 80.0) for o in ("regression", "classification") for m in ALL})
    table, _, ranks = standing(ours, theirs)
    assert "| GP-Unet, regression | 0, 1, 4 | 89.7 | 80.0 | 2 | 1 | 0 |" in table
    assert "| Grad, regression | 0, 1 | 80.0 | 80.0 | 1 | 0 | 1 |" in table
    # Gated Attention and Grad have no digit in common; GP-Unet and Grad have.
    left_out = "GP-Unet no residual, Gated Attention, Grad-CAM, Guided-backprop"
    assert ranks.splitlines() == [
        f"- regression, digits 0, 1, without {left_out}, ours: GP-Unet 85.0 > Grad 80.0",
        f"- regression, digits 0, 1, without {left_out}, paper: GP-Unet 80.0 = Grad 80.0",
    ]


def test_without_an_evaluation_there_is_nothing_to_report(tmp_path: Path):
    place = Place(tmp_path)
    place.begin(to_dict(SETTINGS))
    with pytest.raises(InputError, match="no evaluation yet"):
        write_report(place, tmp_path / "page.md")
    assert not (tmp_path / "page.md").exists()
