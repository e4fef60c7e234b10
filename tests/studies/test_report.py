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
from weakspot.studies.mnist_figures import figures
from weakspot.studies.mnist_report import write_report
from weakspot.studies.published import published
from weakspot.studies.readings import READINGS
from weakspot.studies.results import read_results
from weakspot.studies.units import Place

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
    table = beside("T & %", OURS, PAPER, {"a": "A", "b": "B"}, {"a": {"mean": 70.0, "std": 0.0}}, True)
    assert table.rows == (
        ("0", "ours", "not run", "not run"),
        ("", "paper", "90.0 (89.0 - 91.0)", "80.0 (79.0 - 81.0)"),
        ("1", "ours", "85.2 (84.0 - 86.0)", "not run"),
        ("", "paper", "70.0 (69.0 - 71.0)", "80.0 (79.0 - 81.0)"),
        ("average", "ours", "85.2 ± 0.0", "not run"),
        ("", "paper, same rows", "70.0 ± 0.0", "not run"),
        ("", "paper, all rows", "80.0 ± 10.0", "80.0 ± 0.0"),
        ("", "rows run", "1", "0"),
    )
    assert table.bold == {(1, 2), (2, 2), (3, 3)}
    lower = beside("T", OURS, PAPER, {"a": "A", "b": "B"}, {}, False)
    assert lower.bold == {(1, 3), (2, 2), (3, 2)}
    assert "| 1 | ours | **85.2 (84.0 - 86.0)** | not run |" in table.markdown()
    assert r"average & ours & 85.2 $\pm$ 0.0 & not run \\" in table.latex()
    assert r"\textbf{90.0 (89.0 - 91.0)}" in table.latex()
    assert r"\caption{T \& \%}" in table.latex()
    assert "**" not in table.text()


def test_bars_have_their_heights_and_say_what_was_not_run():
    panels = {"Digit 0": {"r": {"a": (50.0, (40.0, 70.0))}}, "Digit 1": {}}
    figure = bars_figure(panels, {"a": "A"}, {"a": "Method"}, {"r": "R"}, {"Digit 0": {"r": {"a": 60.0}}}, "FAUC")
    first, second = figure.axes
    (bar,) = first.patches
    assert bar.get_height() == 50
    assert [60, 60] in [list(line.get_ydata()) for line in first.lines]
    (error,) = first.collections
    assert error.get_segments()[0][:, 1].tolist() == [40, 70]
    assert not second.patches
    assert [text.get_text() for text in second.texts] == ["not run"]


def test_curves_and_maps_are_drawn_as_given():
    fp = np.array([0, 1, 5.0])
    figure = curves_figure({"Digit 0": {"b": np.array([0, 0.5, 1.0])}}, fp, {"a": "A", "b": "B"})
    (line,) = figure.axes[0].lines
    assert line.get_ydata().tolist() == [0, 0.5, 1]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A", "B"]

    attention = np.full((10, 8), -1.0)
    attention[2, 3] = 4
    tiles = [Tile("image", np.zeros((10, 8)), "image"), Tile("map", attention), Tile("none", None)]
    image, shown, missing = maps_figure([tiles], [np.array([[4.5, 2.0]])], 4).axes
    (square,) = image.patches
    assert square.get_xy() == (0.0, 2.5)
    assert shown.images[0].get_array().min() == 0
    assert [text.get_text() for text in missing.texts] == ["not run"]


def study(folder: Path, objective: str) -> Place:
    """Write records of one training and one evaluation of GP-Unet, with the paper's figures for digit 4."""
    place = Place(folder)
    place.begin({"recipe": {"steps": 7, "patience": None}, "sizes": [4, 3, 2], "digits": "some digits"})
    value = published()[f"mnist_{objective}_fauc"]["values"]["4"]["gp_unet"]["value"] / 100
    figure = {"value": value, "sd": 0.003, "ci95": [value - 0.006, value + 0.005]}
    result = {
        "height": dict.fromkeys(("fauc", "sensitivity", "fpavg", "fnavg"), figure),
        "mass": {"fauc": figure},
        "curve": np.linspace(0, 1, 61).tolist(),
        "maps": {"spread": 0.1, "empty": None},
        "shown": {"most": {"high": 2.0, "predicted": 1.0, "targets": [[13.5, 13.5]]}},
    }
    result["readings"] = {name: [value - 0.01 * number, 0.9, 0.1, 0.1] for number, name in enumerate(READINGS)}
    environment = dict.fromkeys(("device", "processor", "platform", "python", "torch", "weakspot", "threads"), "x")
    training = {"seconds": 600.0, "validation_loss": 0.5, "environment": environment}
    for name, content in (("train", training), ("evaluate", result)):
        path = place.units / f"{name}-{objective}-gp_unet-4-seed0.json"
        path.write_text(json.dumps({"kind": name, "key": "", "seconds": 1, "result": content}))
    for name in ("image-4-most", f"evaluate-{objective}-gp_unet-4-seed0-most"):
        Image.fromarray(np.arange(196 * 140, dtype=np.uint8).reshape(196, 140)).save(place.units / f"{name}.png")
    return place


def test_each_figure_with_anything_to_show_is_drawn(tmp_path: Path):
    place = study(tmp_path / "study", "regression")
    drawn = {name: figure for name, _, figure in figures(read_results(place), place, published())}
    assert list(drawn) == [f"figure_{number}" for number in ("4", "5", "C.16", "6", "C.15", "A.12", "C.14")]
    texts = [[text.get_text() for text in axis.texts] for axis in drawn["figure_4"].axes]
    assert texts == [[], [], *5 * [["not run"]], []]
    pixels = np.asarray(Image.open(place.units / "evaluate-regression-gp_unet-4-seed0-most.png"))
    shown = drawn["figure_4"].axes[1].images[0].get_array()
    np.testing.assert_allclose(shown, pixels / 255 * 2.0)  # the highest value is 2
    assert len(drawn["figure_6"].axes[4].patches) == 1
    assert len(drawn["figure_A.12"].axes[4].lines) == 1


def test_the_page_says_what_was_run_and_what_was_not(tmp_path: Path):
    place = study(tmp_path / "study", "classification")
    shutil.rmtree(place.out / "work")  # nothing but the records is read
    (place.out / "notes.md").write_text("Written by hand.\n")
    page = tmp_path / "docs" / "mnist.md"
    write_report(place, page)
    text = page.read_text()
    assert "1 of 140 cells" in text
    assert "Minutes a training, beside whatever else ran: gp_unet 10.0" in text
    assert "16.7 h one after the other" in text  # 100 trainings of 600 s
    assert "steps 7" in text
    assert "patience" not in text
    assert "Written by hand." in text
    assert "| GP-Unet, classification | 1 | 77.1 | 77.1 | 0 | 1 | 0 |" in text
    assert "| GP-Unet, regression | not run |" in text
    assert re.search(r"\| gated image threshold \| \*\*0\.0\*\* \|", text)
    assert re.search(r"\| gated image top_k \| 1\.0 \|", text)
    assert "**Figure B.13.** " in text
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert [Path(picture).stem for picture in pictures] == ["figure_5", "figure_6", "figure_B.13"]
    assert all((page.parent / picture).is_file() for picture in pictures)
    summary = json.loads((place.out / "summary.json").read_text())
    assert summary["mnist_classification_fauc"]["values"] == {"4": {"gp_unet": {"value": 77.1, "ci95": [76.5, 77.6]}}}


def test_without_an_evaluation_there_is_nothing_to_report(tmp_path: Path):
    place = Place(tmp_path)
    place.begin({})
    with pytest.raises(InputError, match="no evaluation yet"):
        write_report(place, tmp_path / "page.md")
    assert not (tmp_path / "page.md").exists()
