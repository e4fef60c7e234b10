"""A page to look through images and mark what is in them, for a browser that needs nothing else and no network."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weakspot.data.points import COLUMNS, Points
from weakspot.files import write_text
from weakspot.geometry import FloatArray, spacing_of

_SHEET = 4096  # pixels to a side of a file that holds several slices
_LARGEST = 8192  # of one slice as it is shown: browsers give up somewhere above
_MOST = 500  # candidates of an image beside those that are kept
_ENDS = (("L", "R"), ("P", "A"), ("I", "S"))
_ANISOTROPIC = 1.5  # from this ratio on slices are those that the scanner took


@dataclass(frozen=True)
class View:
    """How an image is laid on the screen, slice by slice.

    Attributes
    ----------
    across, down : the axes that go to the right and downwards
    cut : the axis across the slices, None in 2D
    flipped : whether indices fall to the right, and downwards
    sides : of a voxel, to the right and downwards, the smaller one being 1
    ends : letters for the left, right, top and bottom, or None
    """

    across: int = 1
    down: int = 0
    cut: int | None = None
    flipped: tuple[bool, bool] = (False, False)
    sides: tuple[float, float] = (1.0, 1.0)
    ends: tuple[str, str, str, str] | None = None

    def slices(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return (slices, height, width, ...) of an image or map (*spatial, ...) as they are drawn."""
        if self.cut is None:
            values = values[None]
        else:
            values = np.moveaxis(values, (self.cut, self.down, self.across), (0, 1, 2))
        steps = [-1 if flipped else 1 for flipped in self.flipped]
        return values[:, :: steps[1], :: steps[0]]


def view_of(dims: int, affine: FloatArray | None = None, cut: int | None = None) -> View:
    """Return how an image is shown; scans with left on the left, and the front or the top at the top.

    Slices are those across ``cut``; unless given, across the axis of the largest spacing where it stands out, else
    across the one that goes up, the last one where the scan has no position.
    """
    if dims == 2:
        return View()
    if affine is None:
        cut = dims - 1 if cut is None else cut
        down, across = (axis for axis in range(dims) if axis != cut)
        return View(across, down, cut)
    from nibabel.orientations import io_orientation

    turn = io_orientation(affine)
    leads, forwards = turn[:, 0].astype(int).tolist(), turn[:, 1] > 0
    spacing = spacing_of(affine)
    if cut is None:
        stands_out = spacing.max() > _ANISOTROPIC * np.median(spacing)
        cut = int(spacing.argmax()) if stands_out else leads.index(2)
    across, down = sorted((axis for axis in range(3) if axis != cut), key=lambda axis: leads[axis])
    sides = spacing[[across, down]] / spacing[[across, down]].min()
    left, right = _ENDS[leads[across]]
    bottom, top = _ENDS[leads[down]]
    # The world's axes go to the right and upwards.
    flipped = (not forwards[across], bool(forwards[down]))
    return View(across, down, cut, flipped, (float(sides[0]), float(sides[1])), (left, right, top, bottom))


def shades(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return an image (channels, *spatial) as 8 bits (*spatial) or, in colour, (*spatial, 3).

    Spread up to the 99.9th percentile of what is not 0, grey from the 0.1th, colours, which keep their hue, from 0.
    """
    seen = values[values != 0]
    if seen.size:
        low, high = np.percentile(seen, (0.1, 99.9))
        low = 0.0 if len(values) > 1 or low == high else low
        values = np.asarray((values - low) / ((high - low) or 1.0), np.float32)
    bright = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
    return bright[0] if len(bright) == 1 else np.moveaxis(bright, 0, -1)


def scale_of(highest: Sequence[float]) -> float:
    """Return the value of maps to draw brightest in all: the median of their highest values, of those above 0."""
    above = [value for value in highest if value > 0]
    return float(np.median(above)) if above else 1.0


def heat(attention: NDArray[np.float32], scale: float) -> NDArray[np.uint8]:
    """Return a map (*spatial) as colours (*spatial, 3) to lay over an image: black at 0, brightest at ``scale``."""
    from matplotlib import colormaps

    colours = np.rint(255 * colormaps["inferno"](np.arange(256))[:, :3]).astype(np.uint8)
    colours[0] = 0
    return np.asarray(colours[np.rint(255 * np.clip(attention / scale, 0, 1)).astype(np.uint8)])


@dataclass(frozen=True, eq=False)
class Reviewed:
    """An image to look through, and what is known of it.

    Attributes
    ----------
    identifier : its id
    values : (channels, *spatial) float32
    affine : (4, 4) of a scan, or None
    found : candidates, the best first where they have scores
    kept : how many of the first are taken for objects until someone says otherwise
    counted : the count that was predicted, as it is to be read, or None
    reference : points to draw beside them, or None
    attention : (*spatial) float32, or None
    start : the slice to begin with, the middle one unless given
    row : further cells of its row in the cohort
    """

    identifier: str
    values: NDArray[np.float32]
    affine: FloatArray | None
    found: Points
    kept: int = 0
    counted: str | None = None
    reference: Points | None = None
    attention: NDArray[np.float32] | None = None
    start: int | None = None
    row: tuple[str, ...] = ()


def add_image(folder: Path, number: int, image: Reviewed, scale: float, cut: int | None = None) -> dict[str, Any]:
    """Write the pictures of an image into the folder of a page, and return what the page has to know of it.

    Parameters
    ----------
    folder : of the page
    number : of the image on the page, from 0
    image : what to show
    scale : the value of maps that is drawn brightest, the same for all images
    cut : as of `view_of`
    """
    shape = image.values.shape[1:]
    view = view_of(len(shape), image.affine, cut)
    pictures = folder / "images"
    pictures.mkdir(exist_ok=True)
    pixels = view.slices(shades(image.values))
    sheets, layout = _sheets(pictures / f"{number:04d}", pixels)
    maps: list[str] = []
    if image.attention is not None:
        maps, _ = _sheets(pictures / f"{number:04d}_map", view.slices(heat(image.attention, scale)))
    most = image.kept + _MOST
    points, scores = image.found.coordinates, image.found.scores
    slices = 1 if view.cut is None else shape[view.cut]
    return {
        "id": image.identifier,
        "pixels": hashlib.sha256(pixels.tobytes()).hexdigest()[:16],
        "row": image.row,
        "view": {
            "cut": view.cut,
            "slices": slices,
            "across": [view.across, shape[view.across], view.flipped[0], view.sides[0]],
            "down": [view.down, shape[view.down], view.flipped[1], view.sides[1]],
            "ends": view.ends,
            **layout,
        },
        "sheets": [f"images/{name}" for name in sheets],
        "maps": [f"images/{name}" for name in maps],
        "start": slices // 2 if image.start is None else image.start,
        "affine": None if image.affine is None else image.affine.tolist(),
        "points": points[:most].round(2).tolist(),
        "scores": [] if scores is None else [f"{score:.4g}" for score in scores[:most]],
        "kept": image.kept,
        "left_out": max(len(points) - most, 0),
        "counted": image.counted,
        "truth": [] if image.reference is None else image.reference.coordinates.round(2).tolist(),
    }


def write_page(
    folder: Path,
    name: str,
    images: Sequence[dict[str, Any]],
    dims: int,
    columns: Sequence[str] = (),
    others: Sequence[Sequence[str]] = (),
    scored: bool = True,
) -> None:
    """Write the page of images that `add_image` returned; ``index.html`` is what to open.

    Parameters
    ----------
    folder : of the page
    name : of the page: what was marked on one is not met on another of the same images
    images : in their order
    dims : 2 or 3
    columns : the names of the cells of ``Reviewed.row``
    others : the rows, with their ids, of images that are not on the page
    scored : whether points are candidates, some of which are not kept
    """
    content: dict[str, Any] = {"name": name, "axes": COLUMNS[dims]["coordinates"], "columns": list(columns)}
    content |= {"scored": scored, "images": list(images), "others": list(others)}
    # What is marked on a page the browser keeps under its key.
    content["key"] = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    write_text(folder / "data.js", f'"use strict";\nconst data = {json.dumps(content, separators=(",", ":"))};\n')
    for part in files("weakspot.report").joinpath("review_page").iterdir():
        if part.name.endswith((".html", ".js", ".css")):
            (folder / part.name).write_bytes(part.read_bytes())


def _sheets(stem: Path, slices: NDArray[np.uint8]) -> tuple[list[str], dict[str, Any]]:
    """Write slices (n, height, width[, 3]) as JPEG, side by side; return the files' names and the layout."""
    smaller = math.ceil(max(slices.shape[1:3]) / _LARGEST)
    if smaller > 1:
        slices = np.stack([np.asarray(Image.fromarray(np.ascontiguousarray(each)).reduce(smaller)) for each in slices])
    number, height, width, *colour = slices.shape
    per_sheet = min(number, max(1, _SHEET // width) * max(1, _SHEET // height))
    columns = min(max(1, _SHEET // width), math.ceil(math.sqrt(per_sheet * height / width)))
    names = []
    for begin in range(0, number, per_sheet):
        portion = slices[begin : begin + per_sheet]
        rows = math.ceil(len(portion) / columns)
        sheet = np.zeros((rows * height, columns * width, *colour), np.uint8)
        for place, each in enumerate(portion):
            row, column = divmod(place, columns)
            sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = each
        name = f"{stem.name}_{begin // per_sheet}.jpg"
        Image.fromarray(sheet).save(stem.with_name(name), quality=92, subsampling=0)
        names.append(name)
    return names, {"tile": [width, height], "columns": columns, "per_sheet": per_sheet}
