"""The claims of sections 4.1 and 4.2, each held against figures: ours, and the paper's own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weakspot.data.digit_pools import SIDE
from weakspot.studies.cells import mean
from weakspot.studies.fauc import NAMES, Fauc, digits_of, mean_fauc, ranking, tied
from weakspot.studies.mnist import DIGITS, METHODS, OBJECTIVES
from weakspot.studies.readings import Shape, convergence, roughness, shape_on_targets
from weakspot.studies.results import Results
from weakspot.studies.verdict import Verdict, judge_each, judge_mean

Column = tuple[str, str]  # objective, method (of a training: architecture)
Judge = Callable[[Fauc, Results], Verdict]


@dataclass(frozen=True)
class Claim:
    """One statement of the paper.

    Attributes
    ----------
    section, text : where it is made, and what it says
    judge : FAUC, and all results (empty for the paper) -> verdict
    """

    section: str
    text: str
    judge: Judge


def _overall(fauc: Fauc, _: Results) -> Verdict:
    digits = digits_of(fauc, *((objective, method) for objective in OBJECTIVES for method in METHODS))
    if not digits:
        return Verdict(None)
    one, other = (
        np.mean([mean_fauc(fauc, (objective, method), digits) for method in METHODS]) for objective in OBJECTIVES
    )
    return judge_mean(bool(one > other), digits, f"{one:.1f} against {other:.1f}, mean of all methods")


def _mean_ahead(method: str) -> Claim:
    def judge(fauc: Fauc, _: Results) -> Verdict:
        columns = [(objective, method) for objective in OBJECTIVES]
        if not (digits := digits_of(fauc, *columns)):
            return Verdict(None)
        one, other = (mean_fauc(fauc, column, digits) for column in columns)
        tie = ", tied" if tied(one, other) else ""
        return judge_mean(one > other and not tie, digits, f"{one:.1f} against {other:.1f}{tie}")

    return Claim("4.1", f"Regression reaches more than classification: {NAMES[method]}", judge)


def _all(run: Sequence[bool], asked: int) -> bool | None:
    """Judge so many comparisons by those run: one that fails is enough against, and all are needed for."""
    return False if not all(run) else True if len(run) == asked else None


def _ahead(text: str, first: Sequence[str], behind: Sequence[str] = ()) -> Claim:
    """Claim that, for all digits, each of ``first`` is above all others under both objectives, and below ``behind``.

    Those named are under regression.
    """
    ahead, above = ([("regression", method) for method in methods] for methods in (first, behind))
    others = [(objective, method) for objective in OBJECTIVES for method in METHODS]
    pairs = [(a, b) for a in ahead for b in others if b not in (*ahead, *above)] + [
        (a, b) for a in above for b in ahead
    ]

    def judge(fauc: Fauc, _: Results) -> Verdict:
        run = {
            digit: [(fauc[*a, digit][0], fauc[*b, digit][0]) for a, b in pairs if digit in digits_of(fauc, a, b)]
            for digit in DIGITS
        }
        better = {digit: _all([one > other for one, other in run[digit]], len(pairs)) for digit in DIGITS}
        ties = [digit for digit in DIGITS if any(one == other for one, other in run[digit])]
        return judge_each(better, ties, [digit for digit in DIGITS if better[digit] is None and run[digit]])

    return Claim("4.1", text, judge)


def _order(text: str, objective: str, first: Sequence[str]) -> Claim:
    """Claim an order by mean FAUC of the first methods; the others may change places."""

    def judge(fauc: Fauc, _: Results) -> Verdict:
        digits = digits_of(fauc, *((objective, method) for method in METHODS))
        if not digits:
            run = [NAMES[method] for method in METHODS if digits_of(fauc, (objective, method))]
            return Verdict(None, False, f"no digit with all methods; with some: {', '.join(run)}" if run else "")
        means = {method: mean_fauc(fauc, (objective, method), digits) for method in METHODS}
        order = [*first, *(method for method in METHODS if method not in first)]
        holds = all(means[one] > means[other] + 1e-9 for place, one in enumerate(first) for other in order[place + 1 :])
        return judge_mean(holds, digits, ranking({NAMES[method]: means[method] for method in METHODS}))

    return Claim("4.1", text, judge)


def _other_order(fauc: Fauc, _: Results) -> Verdict:
    digits = digits_of(fauc, *((objective, method) for objective in OBJECTIVES for method in METHODS))
    if not digits:
        return Verdict(None)
    orders = [
        sorted(METHODS, key=lambda method: -mean_fauc(fauc, (objective, method), digits)) for objective in OBJECTIVES
    ]
    first = next((place for place, pair in enumerate(zip(*orders, strict=True)) if pair[0] != pair[1]), None)
    evidence = "the same" if first is None else f"place {first + 1}: " + " and ".join(NAMES[o[first]] for o in orders)
    return judge_mean(first is not None, digits, evidence)


def _pair(
    section: str,
    text: str,
    one: Column,
    other: Column,
    fits: Callable[[int, tuple[float, ...], tuple[float, ...]], bool],
    digits: Sequence[int] = DIGITS,
    most: bool = False,
) -> Claim:
    """Claim something of two columns at each of some digits, or at most of them."""

    def judge(fauc: Fauc, _: Results) -> Verdict:
        both = digits_of(fauc, one, other)
        pairs = {digit: (fauc[*one, digit], fauc[*other, digit]) for digit in digits if digit in both}
        fitting = {digit: fits(digit, *pairs[digit]) if digit in pairs else None for digit in digits}
        ties = [digit for digit, (a, b) in pairs.items() if a[0] == b[0]] if fits is _above else []
        return judge_each(fitting, ties, most=most)

    return Claim(section, text, judge)


def _at_least(digit: int, one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Above, or with intervals that overlap."""
    return one[2] >= other[1]


def _above(digit: int, one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] > other[0]


Read = Callable[[Results, str, str, int], float | None]  # objective, method, digit


def _lower(
    section: str, text: str, read: Read, one: Column, others: Sequence[Column], ties_against: bool = True
) -> Claim:
    """Claim that a number of the records is lower for one column than for each other, for all digits.

    Equal numbers are against it, unless they are read so coarsely that they say nothing.
    """

    def judge(_: Fauc, results: Results) -> Verdict:
        read_off = {digit: [read(results, *column, digit) for column in (one, *others)] for digit in DIGITS}
        run = {
            digit: [(first, other) for other in found if first is not None and other is not None]
            for digit, (first, *found) in read_off.items()
        }
        lower = {
            digit: _all([a < b or (a == b and not ties_against) for a, b in run[digit]], len(others))
            for digit in DIGITS
        }
        ties = [digit for digit in DIGITS if any(a == b for a, b in run[digit])]
        verdict = judge_each(lower, ties, [digit for digit in DIGITS if lower[digit] is None and run[digit]])
        whole = [found for found in read_off.values() if None not in found]
        if not whole:
            return verdict
        means = dict(zip((one, *others), np.mean(np.array(whole, float), axis=0), strict=True))
        ours, *theirs = (f"{name} {_rounded(value)}" for name, value in zip(_names(means), means.values(), strict=True))
        return verdict._replace(evidence=f"{ours} against {' and '.join(theirs)} on average; {verdict.evidence}")

    return Claim(section, text, judge)


def _names(columns: Iterable[Column]) -> list[str]:
    """Name columns by what tells them apart: the method, or where they share it the objective."""
    objectives, methods = zip(*columns, strict=True)
    return [NAMES[method] for method in methods] if len(set(methods)) > 1 else list(objectives)


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _in_maps(figure: str) -> Read:
    """Read what `weakspot.studies.readings.unevenness` measured."""
    return lambda results, *cell: mean(each["maps"][figure] for each in results.evaluations.get(cell, []))


def _in_logs(measure: Callable[[Mapping[str, Any]], float]) -> Read:
    """Read something off the training, the mean over seeds."""
    return lambda results, *cell: mean(measure(each) for each in results.trainings.get(cell, []))


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


_GRADIENT = ("grad", "guided_backprop")


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
    dice = [shape.dice for shape in shapes.values()]
    # From 0.7 on, segmentations are usually said to agree well.
    return Verdict(max(dice) < 0.7, evidence=f"Dice {_range(dice)}")


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


_UNETS = ("gp_unet", "gp_unet_no_residual")
_GP_UNET, _NO_SKIP, _MAX_POOL = (("regression", name) for name in ("gp_unet", "gp_unet_no_skip", "gp_unet_max_pool"))
_VARIANTS = (_NO_SKIP, _MAX_POOL)
CLAIMS = (
    Claim("4.1", "Overall, regression reaches more than classification", _overall),
    *(_mean_ahead(method) for method in METHODS),
    _ahead("Regression GP-Unet no residual is the best, for all digits", ["gp_unet_no_residual"]),
    _ahead("Regression GP-Unet is the second best, for all digits", ["gp_unet"], ["gp_unet_no_residual"]),
    _ahead("Both GP-Unet regression methods are better than any other, for all digits", _UNETS),
    _order(
        "The order under regression: no residual, GP-Unet, Grad-CAM, Guided-backprop, then Grad and Gated Attention",
        "regression",
        [*_UNETS[::-1], "grad_cam", "guided_backprop"],
    ),
    _order(
        "The order under classification: Guided-backprop, Grad-CAM, no residual",
        "classification",
        ["guided_backprop", "grad_cam", "gp_unet_no_residual"],
    ),
    Claim("4.1", "The order under classification is another than under regression", _other_order),
    *(
        _lower(
            "4.1",
            f"Grad's maps have many high values that Guided-backprop's have not, under {objective} (highest value "
            "without a target, of a target's)",
            _in_maps("empty"),
            (objective, "guided_backprop"),
            [(objective, "grad")],
        )
        for objective in OBJECTIVES
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
    _of_shapes("No method's map segments the digits (Dice below 0.7, as above)", _no_segments),
    _lower(
        "4.1",
        "GP-Unet's map highlights all targets alike, more so under regression (spread of its heights)",
        _in_maps("spread"),
        ("regression", "gp_unet"),
        [("classification", "gp_unet")],
    ),
    _lower(
        "4.1",
        "Without a target GP-Unet's map is emptier under regression (highest value, of a target's)",
        _in_maps("empty"),
        ("regression", "gp_unet"),
        [("classification", "gp_unet")],
    ),
    *(
        _pair(
            "4.1",
            f"Guided-backprop is better than Grad, for all digits, under {objective}",
            (objective, "guided_backprop"),
            (objective, "grad"),
            _above,
        )
        for objective in OBJECTIVES
    ),
    _pair(
        "4.1",
        "Regression Grad is as good as (digits 4, 6, 7) or better than (0, 9) classification Guided-backprop",
        ("regression", "grad"),
        ("classification", "guided_backprop"),
        lambda digit, one, other: _above(digit, one, other) if digit in (0, 9) else _at_least(digit, one, other),
        (0, 4, 6, 7, 9),
    ),
    _pair("4.2", "Blockwise skip connections help digits 1 and 7", _GP_UNET, _NO_SKIP, _above, (1, 7)),
    _pair(
        "4.2",
        "Without them most other digits are detected no worse",
        _NO_SKIP,
        _GP_UNET,
        _at_least,
        (0, 2, 3, 4, 5, 6, 8, 9),
        most=True,
    ),
    _pair("4.2", "Global max pooling is worse, for all digits", _GP_UNET, _MAX_POOL, _above),
    _lower(
        "4.2",
        "The proposed architecture is optimised best, for all digits: without skip connections or with max pooling "
        "the loss converges to a higher value (lowest validation loss)",
        _in_logs(lambda training: float(training["validation_loss"])),
        _GP_UNET,
        _VARIANTS,
    ),
    _lower(
        "4.2",
        "They make the optimisation take longer to converge (steps until nine tenths of the fall of the validation "
        "loss, which is read every 250 steps: equal numbers are not against it)",
        _in_logs(convergence),
        _GP_UNET,
        _VARIANTS,
        ties_against=False,
    ),
    _lower(
        "4.2",
        "They make loss curves less smooth (rises of the validation loss, of its fall)",
        _in_logs(roughness),
        _GP_UNET,
        _VARIANTS,
    ),
)
