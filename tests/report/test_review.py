"""The page to review images with: what it is given by Python, and what its own code makes of that."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from py_mini_racer import MiniRacer

from weakspot.data.points import Points
from weakspot.geometry import to_world
from weakspot.report import review
from weakspot.report.review import Reviewed, View, add_image, heat, scale_of, shades, view_of, write_page

CODE = Path(review.__file__).with_name("review_page") / "marks.js"
SHAPE = (9, 14, 11)


def oriented(axes: tuple[int, ...], signs: tuple[int, ...], spacing: tuple[float, ...] = (1, 1, 1)) -> Any:
    """Return an affine whose voxel axis n leads along the world's axis axes[n], forwards or backwards."""
    affine = np.diag([0.0, 0, 0, 1])
    for axis, (world, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[world, axis] = sign * spacing[axis]
    affine[:3, 3] = (3, -5, 7)
    return affine


ORIENTATIONS = [
    oriented(axes, signs, spacing)
    for axes in itertools.permutations(range(3))
    for signs, spacing in (((1, 1, 1), (1, 1, 1)), ((-1, 1, -1), (1, 0.5, 3)), ((1, -1, -1), (2, 1, 1)))
]


class Page:
    """A page's code, with what a reviewer did."""

    def __init__(self, folder: Path) -> None:
        self.engine = MiniRacer()
        self.engine.eval((folder / "data.js").read_text())
        self.engine.eval(CODE.read_text())
        self.log: list[dict[str, Any]] = []

    def __call__(self, call: str, *arguments: Any) -> Any:
        """Return what a function of the code gives for the page's data and further arguments."""
        given = ", ".join(["data", *map(json.dumps, arguments)])
        return json.loads(self.engine.eval(f"JSON.stringify({call}({given}))"))

    def click(self, image: int, units: tuple[float, float], at: int = 0, shown: str = "() => false") -> None:
        step = self.engine.eval(
            f"JSON.stringify(clicked(data, {json.dumps(self.log)}, {image}, {at}, {json.dumps(units)}, 2, {shown}))"
        )
        if (step := json.loads(step)) is not None:
            self.log.append(step)

    def done(self, image: int) -> None:
        self.log.append({"act": "done", "image": image})


def page_of(
    folder: Path,
    images: list[Reviewed],
    columns: tuple[str, ...] = (),
    others: tuple[tuple[str, ...], ...] = (),
    scored: bool = True,
    name: str = "page",
) -> Page:
    folder.mkdir(exist_ok=True)
    entries = [add_image(folder, number, image, 1.0) for number, image in enumerate(images)]
    write_page(folder, name, entries, images[0].values.ndim - 1, columns, others, scored)
    return Page(folder)


@pytest.mark.parametrize("affine", [None, *ORIENTATIONS], ids=str)
@pytest.mark.parametrize("cut", [None, 0, 1, 2])
def test_a_voxel_is_drawn_where_the_page_marks_it(affine: Any, cut: int | None, tmp_path: Path):
    at = np.array([2, 11, 3])
    values = np.zeros((1, *SHAPE), np.float32)
    values[(0, *at)] = 1
    entry = add_image(tmp_path, 0, Reviewed("a", values, affine, Points(np.array([at], float))), 1.0, cut)
    write_page(tmp_path, "page", [entry], 3)
    view = entry["view"]
    place = int(at[view["cut"]])
    assert cut in (None, view["cut"])
    sheet = np.asarray(Image.open(tmp_path / entry["sheets"][place // view["per_sheet"]]))
    row, column = divmod(place % view["per_sheet"], view["columns"])
    width, height = view["tile"]
    drawn = sheet[row * height : (row + 1) * height, column * width : (column + 1) * width]
    down, across = np.unravel_index(drawn.argmax(), drawn.shape)
    assert drawn.max() > 200
    page = Page(tmp_path)
    x, y = json.loads(page.engine.eval(f"JSON.stringify(toUnits(data.images[0].view, {at.tolist()}))"))
    sides = view["across"][3], view["down"][3]
    assert (x / sides[0] - 0.5, y / sides[1] - 0.5) == pytest.approx((across, down))
    back = page.engine.eval(f"JSON.stringify(fromUnits(data.images[0].view, [{x}, {y}], {place}))")
    assert json.loads(back) == pytest.approx(at.tolist(), abs=0.01)


@pytest.mark.parametrize("affine", ORIENTATIONS, ids=str)
@pytest.mark.parametrize("cut", [None, 0, 1, 2])
def test_scans_lie_as_their_letters_say(affine: Any, cut: int | None):
    view = view_of(3, affine, cut)
    assert view.ends is not None
    ramp = to_world(np.moveaxis(np.indices(SHAPE), 0, -1), affine)
    drawn = view.slices(ramp)[0]  # (height, width, 3) the world's coordinates
    to_right, to_top = drawn[0, -1] - drawn[0, 0], drawn[0, 0] - drawn[-1, 0]
    for step, (first, last) in ((to_right, view.ends[:2]), (to_top, (view.ends[3], view.ends[2]))):
        world = int(np.abs(step).argmax())
        assert np.count_nonzero(step) == 1
        assert step[world] > 0
        assert first + last == ("LR", "PA", "IS")[world]


@pytest.mark.parametrize(
    ("spacing", "signs", "cut"), [((1, 1, 1), (1, 1, 1), 2), ((1, 4, 1), (1, 1, 1), 1), ((1, 1.2, 1), (1, 1, -1), 2)]
)
def test_slices_are_those_of_the_scanner_or_axial(spacing: Any, signs: Any, cut: int):
    assert view_of(3, oriented((0, 1, 2), signs, spacing)).cut == cut


def test_pixels_are_as_wide_as_voxels():
    view = view_of(3, oriented((0, 1, 2), (1, 1, 1), (1, 0.5, 3)), 0)
    assert (view.across, view.down, view.sides) == (1, 2, (1.0, 6.0))


def test_images_in_2d_stay_as_they_are():
    assert view_of(2) == View()
    pixels = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(View().slices(pixels)[0], pixels)


def test_slices_go_over_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(review, "_SHEET", 30)
    monkeypatch.setattr(review, "_LARGEST", 13)
    values = np.zeros((1, 12, 14, 20), np.float32)
    values[0, :, :, 17] = 1
    entry = add_image(tmp_path, 0, Reviewed("a", values, None, Points(np.zeros((0, 3)))), 1.0)
    assert entry["view"]["tile"] == [7, 6]  # shrunk by two
    assert entry["view"]["per_sheet"] == 4 * 5
    assert len(entry["sheets"]) == 1
    monkeypatch.setattr(review, "_SHEET", 14)
    entry = add_image(tmp_path, 0, Reviewed("a", values, None, Points(np.zeros((0, 3)))), 1.0)
    view = entry["view"]
    assert view["per_sheet"] == 4
    assert len(entry["sheets"]) == 5
    bright = np.asarray(Image.open(tmp_path / entry["sheets"][17 // 4]))
    row, column = divmod(17 % 4, view["columns"])
    inner = np.s_[row * 6 + 1 : row * 6 + 5, column * 7 + 1 : column * 7 + 6]
    assert bright[inner].min() > 200
    assert np.asarray(Image.open(tmp_path / entry["sheets"][0])).max() < 50


def test_grey_is_spread_and_colours_keep_their_hue():
    assert shades(np.full((1, 3, 3), 0.001, np.float32)).tolist() == [[255] * 3] * 3
    assert not shades(np.zeros((1, 3, 3), np.float32)).any()
    dark = np.linspace(0.002, 0.004, 101, dtype=np.float32).reshape(1, 1, 101)
    assert shades(dark)[0, ::50].tolist() == pytest.approx([0, 127.5, 255], abs=0.6)
    colours = np.array([0.02, 0.04, 0.1], np.float32).reshape(3, 1, 1)
    assert shades(colours)[0, 0].tolist() == pytest.approx([51, 102, 255], abs=1)


def test_maps_are_black_at_zero_and_below():
    drawn = heat(np.array([-1.0, 0, 0.5, 1, 2], np.float32), 1.0).astype(int).sum(axis=1)
    assert drawn[0] == drawn[1] == 0 < drawn[2] < drawn[3] == drawn[4]


def test_the_brightest_is_the_median_of_the_highest():
    assert scale_of([3, 1, 200, -4]) == 3
    assert scale_of([0, -1]) == scale_of([]) == 1


def reviewed(name: str, points: list[list[float]], kept: int, row: tuple[str, ...] = ()) -> Reviewed:
    found = Points(np.array(points, float).reshape(-1, 2), np.linspace(0.9, 0.5, len(points)))
    return Reviewed(name, np.zeros((1, 40, 60), np.float32), None, found, kept, "2", row=row)


@pytest.fixture
def page(tmp_path: Path) -> Page:
    """Two images of 40 x 60, the first with two candidates that were counted and one that was not."""
    images = [reviewed("a", [[10, 20], [30, 50], [10, 24]], 2, ("s,1",)), reviewed('b"', [], 0, ("s\n2",))]
    return page_of(tmp_path, images, ("subject",), (("c", "s3"),))


def test_counted_candidates_stand_until_they_are_rejected(page: Page):
    assert page("objectsOf", page.log, 0) == [[10, 20], [30, 50]]
    page.click(0, (20.9, 10.4))  # x, y from the corner: the first
    assert page("objectsOf", page.log, 0) == [[30, 50]]
    page.click(0, (24.5, 10.5), shown="() => true")
    assert page("objectsOf", page.log, 0) == [[30, 50], [10, 24]]
    assert page("objectsOf", page.log[:-2], 0) == [[10, 20], [30, 50]]  # taken back


def test_a_click_beside_adds_a_point_and_one_on_it_removes_it(page: Page):
    page.click(0, (24.5, 10.5))  # the candidate there is not shown
    page.click(1, (5.0, 8.25))
    page.click(1, (60.5, 8))  # beside the image
    assert page("objectsOf", page.log, 0) == [[10, 20], [30, 50], [10, 24]]
    assert page("objectsOf", page.log, 1) == [[7.75, 4.5]]
    page.click(1, (5.5, 8))
    assert page("objectsOf", page.log, 1) == []
    page.click(1, (5.5, 8))
    assert page("objectsOf", page.log, 1) == [[7.5, 5]]


@pytest.mark.parametrize(("x", "met"), [(21.9, 0), (22.4, 0), (22.6, 2), (24.5, 2)])
def test_the_nearest_is_met(page: Page, x: float, met: int):
    page.click(0, (x, 10.5), shown="() => true")  # between one at 20.5 that was counted and one at 24.5
    assert [step["index"] for step in page.log] == [met]


def test_of_two_in_one_place_the_one_that_stands_is_met(tmp_path: Path):
    page = page_of(tmp_path, [reviewed("a", [[5, 5], [5, 5]], 1)])
    page.click(0, (5.5, 5.5), shown="() => true")
    page.click(0, (5.5, 5.5), shown="() => true")
    assert [step["index"] for step in page.log] == [0, 0]


def test_tables_hold_what_is_done(page: Page):
    assert page("pointsTable", page.log) == "id,y,x\n"
    page.click(1, (5.5, 8.5))
    page.done(1)
    assert page.engine.eval(f"[...doneIn({json.dumps(page.log)})].join()") == "1"
    assert page("pointsTable", page.log) == 'id,y,x\n"b""",8,5\n'
    assert page("imagesTable", page.log) == 'id,subject,count,reviewed\na,"s,1",,no\n"b""","s\n2",1,yes\nc,s3,,no\n'
    page.done(1)  # and back
    assert page("pointsTable", page.log) == "id,y,x\n"


def test_points_of_scans_are_told_in_mm(tmp_path: Path):
    affine = oriented((1, 0, 2), (-1, 1, 1), (1, 0.5, 3))
    values = np.zeros((1, *SHAPE), np.float32)
    found = Points(np.array([[1.25, 3, 4], [2, 2, 2]]), np.array([2.0, 1.0]))
    page = page_of(tmp_path, [Reviewed("a", values, affine, found, 1), Reviewed("b", values, None, found, 1)])
    page.done(0)
    page.done(1)
    header, first, second, end = page("pointsTable", page.log).split("\n")
    world = to_world([1.25, 3, 4], affine).tolist()
    assert header == "id,i,j,k,x_mm,y_mm,z_mm"
    assert not end
    assert [float(each) for each in first.split(",")[1:]] == [1.25, 3, 4, *world]
    assert second == "b,1.25,3,4,,,"


def test_marks_of_neighbouring_slices_can_be_clicked_and_no_others(tmp_path: Path):
    values = np.zeros((1, *SHAPE), np.float32)
    found = Points(np.array([[4.0, 6, 5]]), np.array([1.0]))
    page = page_of(tmp_path, [Reviewed("a", values, None, found, 1)])
    for at in (5, 6, 3, 4):
        page.click(0, (6.5, 4.5), at, shown="() => true")
    # Of the last, between the first point and the one that was added, neither is nearer; the added one stands.
    assert [step["act"] for step in page.log] == ["toggle", "toggle", "add", "toggle"]
    assert page.log[2]["at"] == [4, 6, 3]


def test_a_mark_of_this_slice_is_met_before_a_nearer_one_beside_it(tmp_path: Path):
    found = Points(np.array([[4.0, 6, 5], [4, 7, 6]]), np.array([2.0, 1]))
    page = page_of(tmp_path, [Reviewed("a", np.zeros((1, *SHAPE), np.float32), None, found, 2)])
    page.click(0, (6.5, 4.5), 6)
    assert page.log[0]["index"] == 1


def test_a_point_at_the_far_edge_is_in_the_last_slice(tmp_path: Path):
    found = Points(np.array([[4.0, 6, 10.5], [4, 6, -0.5]]), np.array([2.0, 1]))
    page = page_of(tmp_path, [Reviewed("a", np.zeros((1, *SHAPE), np.float32), None, found, 2)])
    assert page.engine.eval("data.images[0].points.map((at) => sliceOf(data.images[0].view, at)).join()") == "10,0"


def test_undo_goes_where_the_step_was(page: Page):
    page.click(0, (20.9, 10.4))
    page.click(1, (5.5, 8.5))
    page.click(1, (9.5, 8.5))
    page.click(1, (9.5, 8.5))  # removes it
    page.done(1)
    placed = [page("placeOf", page.log[:count], page.log[count]) for count in range(len(page.log))]
    assert placed == [[10, 20], [8, 5], [8, 9], [8, 9], None]


def test_some_candidates_are_shown_beyond_those_that_were_counted(tmp_path: Path):
    images = [reviewed("a", [[n, n] for n in range(40)], 30), reviewed("b", [[n, n] for n in range(40)], 0)]
    page = page_of(tmp_path, images)
    assert page.engine.eval("data.images.map((each) => shownAtFirst(each, null)).join()") == "40,10"
    assert page.engine.eval("data.images.map((each) => shownAtFirst(each, 0.8)).join()") == "10,10"
    assert page.engine.eval("shownAtFirst(data.images[0], Infinity)") == 0


def test_faint_candidates_beyond_the_most_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(review, "_MOST", 2)
    entry = add_image(tmp_path, 0, reviewed("a", [[n, n] for n in range(6)], 1), 1.0)
    assert (len(entry["points"]), len(entry["scores"]), entry["left_out"]) == (3, 3, 3)


def test_only_the_same_page_has_the_same_key(tmp_path: Path):
    plain = reviewed("a", [[1, 1], [2, 2]], 1)
    bright = replace(plain, values=plain.values + np.eye(40, 60, dtype=np.float32))
    keys = [
        page_of(tmp_path / str(number), [image], name=name).engine.eval("data.key")
        for number, (image, name) in enumerate(
            [(plain, "page"), (plain, "page"), (replace(plain, kept=2), "page"), (bright, "page"), (plain, "second")]
        )
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_the_page_asks_for_nothing_from_elsewhere(tmp_path: Path):
    page_of(tmp_path, [reviewed("a", [], 0)])
    for name in ("index.html", "page.js", "page.css", "marks.js", "data.js"):
        assert "http" not in (tmp_path / name).read_text()
    for name in ("page.css", "data.js", "marks.js", "page.js"):
        assert f'"{name}"' in (tmp_path / "index.html").read_text()
