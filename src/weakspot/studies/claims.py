"""The claims of sections 4.1 and 4.2, each held against figures: ours, and the paper's own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from weakspot.studies.cells import mean
from weakspot.studies.fauc import NAMES, Fauc, digit_list, digits_of, mean_fauc, tied
from weakspot.studies.figure_claims import FIGURE_4, FIGURE_5
from weakspot.studies.mnist import DIGITS, METHODS, OBJECTIVES
from weakspot.studies.readings import convergence, roughness
from weakspot.studies.results import Results
from weakspot.studies.verdict import Claim, Verdict, judge_each, judge_mean

Column = tuple[str, str]  # objective, method (of a training: architecture)


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


def _places(text: str, objective: str, places: Mapping[str, Sequence[int]]) -> Claim:
    """Claim for each of some methods the places, 1 the best, of which its mean FAUC has one; ties have several."""

    def judge(fauc: Fauc, _: Results) -> Verdict:
        digits = digits_of(fauc, *((objective, method) for method in METHODS))
        if not digits:
            run = [NAMES[method] for method in METHODS if digits_of(fauc, (objective, method))]
            return Verdict(None, False, f"no digit with all methods; with some: {', '.join(run)}" if run else "")
        means = {method: mean_fauc(fauc, (objective, method), digits) for method in METHODS}
        taken = {method: _taken(means, method) for method in places}
        said = (f"{NAMES[method]} {means[method]:.1f}, place {digit_list(taken[method])}" for method in places)
        holds = all(set(taken[method]) <= set(allowed) for method, allowed in places.items())
        return judge_mean(holds, digits, "; ".join(said))

    return Claim("4.1", text, judge)


def _taken(means: Mapping[str, float], method: str) -> range:
    """Return the places that a method may have: one, or where it is tied with others several."""
    as_good = sum(tied(each, means[method]) for each in means.values())
    better = sum(each > means[method] for each in means.values() if not tied(each, means[method]))
    return range(better + 1, better + as_good + 1)


def _other_order(fauc: Fauc, _: Results) -> Verdict:
    digits = digits_of(fauc, *((objective, method) for objective in OBJECTIVES for method in METHODS))
    if not digits:
        return Verdict(None)
    orders = [
        sorted(METHODS, key=lambda method: -mean_fauc(fauc, (objective, method), digits)) for objective in OBJECTIVES
    ]
    first = next((place for place, pair in enumerate(zip(*orders, strict=True)) if pair[0] != pair[1]), None)
    evidence = "the same"
    if first is not None:
        ours = " and ".join(
            f"{NAMES[o[first]]} under {objective}" for o, objective in zip(orders, OBJECTIVES, strict=True)
        )
        evidence = f"first apart at place {first + 1}: {ours}"
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
        values = {digit: _beside(*pair) for digit, pair in pairs.items()}
        return judge_each(fitting, ties, most=most, values=values)

    return Claim(section, text, judge)


def _beside(one: tuple[float, ...], other: tuple[float, ...]) -> str:
    """Return two values in words, and whether their intervals overlap."""
    overlap = ", intervals overlap" if one[1] <= other[2] and other[1] <= one[2] else ""
    return f"{one[0]:.2f} against {other[0]:.2f}{overlap}"


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

    Equal numbers are against it, unless they are read so coarsely that they tell nothing.
    """

    def judge(_: Fauc, results: Results) -> Verdict:
        read_off = {digit: [read(results, *column, digit) for column in (one, *others)] for digit in DIGITS}
        run = {
            digit: [(first, other) for other in found if first is not None and other is not None]
            for digit, (first, *found) in read_off.items()
        }
        told = {digit: [a < b for a, b in pairs if a != b or ties_against] for digit, pairs in run.items()}
        lower = {
            digit: _all(each, len(each) + len(others) - len(run[digit])) if each else None
            for digit, each in told.items()
        }
        ties = [digit for digit in DIGITS if any(a == b for a, b in run[digit])]
        partly = [digit for digit in DIGITS if lower[digit] is None and 0 < len(run[digit]) < len(others)]
        verdict = judge_each(lower, ties, partly)
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


_UNETS = ("gp_unet", "gp_unet_no_residual")
_GP_UNET, _NO_SKIP, _MAX_POOL = (("regression", name) for name in ("gp_unet", "gp_unet_no_skip", "gp_unet_max_pool"))
_VARIANTS = (_NO_SKIP, _MAX_POOL)
CLAIMS = (
    Claim("4.1", "Overall, regression reaches more than classification", _overall),
    *(_mean_ahead(method) for method in METHODS),
    _ahead("Regression GP-Unet no residual is the best, for all digits", ["gp_unet_no_residual"]),
    _ahead("Regression GP-Unet is the second best, for all digits", ["gp_unet"], ["gp_unet_no_residual"]),
    _ahead("Both GP-Unet regression methods are better than any other, for all digits", _UNETS),
    _places("Under regression Grad-CAM comes third", "regression", {"grad_cam": [3]}),
    _places("Under regression Guided-backprop comes fourth", "regression", {"guided_backprop": [4]}),
    _places(
        "Under regression Grad and Gated Attention come last",
        "regression",
        {"grad": [5, 6], "gated_attention": [5, 6]},
    ),
    _places(
        "The order under classification: Guided-backprop, Grad-CAM, no residual",
        "classification",
        {"guided_backprop": [1], "grad_cam": [2], "gp_unet_no_residual": [3]},
    ),
    Claim("4.1", "The order under classification is another than under regression", _other_order),
    *(
        _lower(
            "4.1",
            f"Grad's highest values without a target are lower with Guided-backprop, under {objective} (mean of each "
            "image's highest value, as a share of the mean height at targets; how many there are is not measured)",
            _in_maps("empty"),
            (objective, "guided_backprop"),
            [(objective, "grad")],
        )
        for objective in OBJECTIVES
    ),
    *FIGURE_4,
    _lower(
        "4.1",
        "GP-Unet's map highlights all targets alike, more so under regression (spread of its heights)",
        _in_maps("spread"),
        ("regression", "gp_unet"),
        [("classification", "gp_unet")],
    ),
    _lower(
        "4.1",
        "Without a target GP-Unet's highest values are lower under regression (as above)",
        _in_maps("empty"),
        ("regression", "gp_unet"),
        [("classification", "gp_unet")],
    ),
    FIGURE_5,
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
        "loss from its first reading; it is read so seldom that equal numbers tell nothing)",
        _in_logs(convergence),
        _GP_UNET,
        _VARIANTS,
        ties_against=False,
    ),
    _lower(
        "4.2",
        "They make loss curves less smooth (all rises of the validation loss, as a share of its fall from its first "
        "reading)",
        _in_logs(roughness),
        _GP_UNET,
        _VARIANTS,
    ),
)
