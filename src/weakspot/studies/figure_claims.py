"""The claims of section 4.1 about what Figures 4 and 5 show, held against the same maps of ours."""

from collections.abc import Callable, Sequence

from weakspot.data.digit_pools import SIDE
from weakspot.studies.fauc import NAMES, Fauc
from weakspot.studies.mnist import METHODS
from weakspot.studies.readings import Shape, regions_above, shape_on_targets
from weakspot.studies.results import Results
from weakspot.studies.verdict import Claim, Verdict

_GRADIENT = ("grad", "guided_backprop")
_ALIKE = 0.7  # a Dice coefficient from which on segmentations are usually said to agree well


def _of_shapes(text: str, judge_shapes: Callable[[dict[str, Shape]], Verdict]) -> Claim:
    """Claim something of how the maps of Figure 4 lie on the targets."""

    def judge(_: Fauc, results: Results) -> Verdict:
        image, targets = results.images.get((4, "most")), results.targets(4, "most")
        maps = {method: results.maps.get(("regression", method, 4, "most")) for method in METHODS}
        run = {method: each for method, each in maps.items() if each is not None}
        if image is None or not run:
            return Verdict(None)
        if len(run) < len(METHODS):
            return Verdict(None, False, f"only {', '.join(NAMES[method] for method in run)}")
        return judge_shapes({method: shape_on_targets(each, image, targets, SIDE) for method, each in run.items()})

    return Claim("4.1", text, judge)


def _split(shapes: dict[str, Shape], name: str) -> tuple[list[float], list[float]]:
    """Return a number of the shapes for CAM methods, and for gradient methods."""
    values = {method: float(getattr(shape, name)) for method, shape in shapes.items()}
    return [values[each] for each in values if each not in _GRADIENT], [values[each] for each in _GRADIENT]


def _single_regions(shapes: dict[str, Shape]) -> Verdict:
    (cam, gradient), (cam_area, gradient_area) = _split(shapes, "regions"), _split(shapes, "area")
    return Verdict(
        max(cam) < min(gradient) and min(cam_area) > max(gradient_area),
        evidence=f"{min(cam):.1f} to {max(cam):.1f} regions above half of the height on {100 * min(cam_area):.1f} to "
        f"{100 * max(cam_area):.1f} % of a cell, against {min(gradient):.1f} to {max(gradient):.1f} on "
        f"{100 * min(gradient_area):.1f} to {100 * max(gradient_area):.1f} %",
    )


def _better_segments(shapes: dict[str, Shape]) -> Verdict:
    cam, gradient = _split(shapes, "dice")
    return Verdict(min(gradient) > max(cam), evidence=f"Dice {_range(gradient)} against {_range(cam)}")


def _no_segments(shapes: dict[str, Shape]) -> Verdict:
    dice = {method: shape.dice for method, shape in shapes.items()}
    best = max(dice, key=lambda method: dice[method])
    return Verdict(dice[best] < _ALIKE, evidence=f"the best is {NAMES[best]}; Dice {_range(list(dice.values()))}")


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def _fewer_regions(
    text: str, one: tuple[str, str], other: tuple[str, str], which: str, shares: Sequence[float], names: Sequence[str]
) -> Claim:
    """Claim that outside of targets one map of digit 4 has fewer high regions than another, at each of some heights.

    It does not hold where it has more at each, and is not decided otherwise.

    Parameters
    ----------
    one, other : objective, method
    which : image, "none" or "most"
    shares : heights, of the highest value of each method on the image with the most targets
    names : of the two, in words
    """

    def judge(_: Fauc, results: Results) -> Verdict:
        counts = []
        for column in (one, other):
            shown, lit = (results.maps.get((*column, 4, image)) for image in (which, "most"))
            if shown is not None and lit is not None:
                levels = [share * float(lit.max()) for share in shares]
                counts.append(regions_above(shown, results.targets(4, which), SIDE, levels))
        if len(counts) < 2:
            return Verdict(None)
        less, more = (all((a - b) * sign > 0 for a, b in zip(*counts, strict=True)) for sign in (-1, 1))
        said = " against ".join(
            f"{', '.join(map(str, each))} with {name}" for each, name in zip(counts, names, strict=True)
        )
        heights = ", ".join(f"{100 * share:.0f}" for share in shares)
        return Verdict(True if less else False if more else None, evidence=f"at {heights} %: {said}")

    return Claim("4.1", text, judge)


FIGURE_4 = (
    _fewer_regions(
        "Grad's maps have many high values that Guided-backprop's have not (regions outside of targets in Figure 4, "
        "above shares of the highest value)",
        ("regression", "guided_backprop"),
        ("regression", "grad"),
        "most",
        (0.1, 0.25, 0.5),
        [NAMES["guided_backprop"], NAMES["grad"]],
    ),
    _of_shapes(
        "Gradient methods highlight several features of a digit, CAM methods one larger region (on the targets of "
        "Figure 4)",
        _single_regions,
    ),
    _of_shapes(
        "Gradient methods are more suited to segment (Dice of map and digit at each method's best threshold, targets "
        "of Figure 4)",
        _better_segments,
    ),
    _of_shapes(f"No method's map segments the digits (Dice below {_ALIKE}, our bound; as above)", _no_segments),
)
FIGURE_5 = _fewer_regions(
    "Without a target GP-Unet's map highlights many false positives under classification, not under regression "
    "(regions in Figure 5, above shares of the highest value with targets)",
    ("regression", "gp_unet"),
    ("classification", "gp_unet"),
    "none",
    (0.02, 0.05, 0.1),
    ["regression", "classification"],
)
