"""The FROC figure shows what it is given."""

import numpy as np

from weakspot.report.figures import Curve, froc_figure, save


def curve(name, **more):
    return Curve(name, np.array([0, 1, 2.0]), np.array([0, 0.5, 0.75]), **more)


def test_curves_go_on_flat_and_points_are_where_they_are():
    band = np.array([[0, 2.0], [0.1, 0.6], [0.2, 0.9]])
    figure = froc_figure([curve("a", band=band, point=(1, 0.4)), curve("b")], 5, [("r", 0.5, 0.8)], "at k = 3")
    (axis,) = figure.axes
    first, point, second, triangle = axis.lines
    assert first.get_xydata().tolist() == [[0, 0], [1, 0.5], [2, 0.75], [5, 0.75]]
    assert point.get_xydata().tolist() == [[1, 0.4]]
    assert point.get_color() == first.get_color() != second.get_color()
    assert first.get_linestyle() != second.get_linestyle()
    assert triangle.get_xydata().tolist() == [[0.5, 0.8]]
    assert axis.get_xlim() == (0, 5)
    (shaded,) = axis.collections
    assert shaded.get_datalim(axis.transData).get_points().tolist() == [[0, 0.1], [2, 0.9]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "at k = 3", "r", "95 % interval"]


def test_a_point_beyond_the_range_widens_it():
    (axis,) = froc_figure([curve("a")], 5, [("r", 8, 0.8)]).axes
    assert axis.get_xlim()[1] > 8
    assert axis.lines[0].get_xydata()[-1].tolist() == [axis.get_xlim()[1], 0.75]
    (axis,) = froc_figure([curve("a", point=(9, 0.7))], 5, operating="at k = 1").axes
    assert axis.get_xlim()[1] > 9


def test_points_on_the_border_are_drawn_whole_and_do_not_widen_it():
    (axis,) = froc_figure([curve("a", point=(5, 0.0))], 5, [("r", 5, 1.0)], "at k = 1").axes
    assert axis.get_xlim() == (0, 5)
    _, point, triangle = axis.lines
    assert not point.get_clip_on()
    assert not triangle.get_clip_on()


def test_no_band_no_entry():
    for band in (None, np.array([[0, 2.0], [np.nan] * 2, [np.nan] * 2])):
        (legend,) = froc_figure([curve("a", band=band)], 5).legends
        assert [text.get_text() for text in legend.get_texts()] == ["a"]


def test_same_figure_same_bytes_and_names_as_they_stand(tmp_path):
    for stem in ("one", "two"):
        save(froc_figure([curve("$x_1$ & y")], 5), tmp_path / stem)
    for kind in ("svg", "png"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    assert "$x_1$ &amp; y" in (tmp_path / "one.svg").read_text()


def test_legend_leaves_the_curves_their_room():
    """An empty line that is not clipped once pushed the axes together to a sixth of the figure."""
    figure = froc_figure([curve("a", point=(1, 0.4))], 5, [("r", 0.5, 0.8)], "at the predicted count")
    figure.draw_without_rendering()
    (axis,) = figure.axes
    assert axis.get_position().height > 0.6
