"""What units write down: trainings, figures and pictures, as short as they may be, for records are kept."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weakspot.evaluation import Evaluation, Figure
from weakspot.files import write_atomically
from weakspot.settings import to_dict
from weakspot.studies.units import Place
from weakspot.tuning import Tuned

_ROWS = 40  # of a training's log, at most


def of_training(run: Path) -> dict[str, Any]:
    """Return the losses, the time and the environment of a complete run folder."""
    log = np.genfromtxt(run / "log.csv", delimiter=",", names=True, ndmin=1)
    kept = np.unique(np.linspace(0, len(log) - 1, min(len(log), _ROWS)).round().astype(int))
    return {
        "seconds": round(float(log["seconds"][-1]), 1),
        "steps": int(log["step"][-1]),
        "validation_loss": short(log["validation_loss"].min()),
        "log": {name: short(log[name][kept]) for name in ("step", "train_loss", "validation_loss")},
        "environment": json.loads((run / "environment.json").read_text(encoding="utf-8")),
    }


def of_evaluation(result: Evaluation) -> dict[str, Any]:
    """Return the figures of the paper's tables: ``{fauc, sensitivity, fpavg, fnavg: {value, sd, ci95}}``."""
    return of_figures(
        {
            "fauc": result.fauc,
            "sensitivity": result.sensitivity,
            "fpavg": result.fp_avg,
            "fnavg": result.fn_avg,
            "count_error": result.count_error["mae"],
        }
    )


def of_figures(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Return figures by name, each with its value, standard deviation and interval."""
    return {name: {part: short(value) for part, value in figure._asdict().items()} for name, figure in figures.items()}


def of_tuning(tuned: Tuned) -> dict[str, Any]:
    """Return what counts told of seeking: ``sigma_vox``, ``threshold``, ``by_threshold`` and the errors of counts."""
    told = {name: value for name, value in to_dict(tuned).items() if name not in ("sought", "images")}
    return {name: short(value) if type(value) is float else value for name, value in told.items()}


def keep_picture(place: Place, name: str, pixels: NDArray[np.uint8]) -> None:
    """Write an 8-bit picture beside the records."""
    image = Image.fromarray(pixels)
    write_atomically(place.units / f"{name}.png", lambda path: image.save(path, format="png", optimize=True))


def keep_map(place: Place, name: str, attention: NDArray[Any]) -> float:
    """Write the positive part of a map, which is what detection sees, as an 8-bit picture; return its highest value."""
    positive = np.maximum(attention, 0)
    high = float(positive.max()) or 1.0
    keep_picture(place, name, np.rint(255 * positive / high).astype(np.uint8))
    return high


def short(values: Any) -> Any:
    """Return numbers as lists, to four significant digits, which spares space where they are kept."""
    rounded = [float(f"{value:.4g}") for value in np.ravel(values)]
    return rounded[0] if np.ndim(values) == 0 else rounded
