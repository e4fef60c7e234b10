"""The claims of sections 4.1 and 4.2, each held against tables: ours, and the paper's own."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from weakspot.studies.mnist import DIGITS, METHODS, group_of
from weakspot.studies.results import Results

NAMES = {
    "gp_unet": "GP-Unet",
    "gp_unet_no_residual": "GP-Unet no residual",
    "gated_attention": "Gated Attention",
    "grad_cam": "Grad-CAM",
    "grad": "Grad",
    "guided_backprop": "Guided-backprop",
    "gp_unet_no_skip": "GP-Unet no skip",
    "gp_unet_max_pool": "GP-Unet max pool",
}
Column = dict[int, tuple[float, float, float]]  # digit -> value, lower end, upper end


class Verdict(NamedTuple):
    """Whether a claim holds, and what it was judged by; ``holds`` is None where nothing was run."""

    holds: bool | None
    evidence: str = ""

    def __str__(self) -> str:
        """Return it in words."""
        state = "not run" if self.holds is None else "holds" if self.holds else "does not hold"
        return f"{state} ({self.evidence})" if self.evidence else state


@dataclass(frozen=True)
class Claim:
    """One statement of the paper.

    Attributes
    ----------
    section, text : where it is made, and what it says
    judge : tables in the published form, and all results (empty for the paper) -> verdict
    """

    section: str
    text: str
    judge: Callable[[Mapping[str, Any], Results], Verdict]


def column(tables: Mapping[str, Any], objective: str, method: str) -> Column:
    """Return the FAUC of one method, in percent, at all digits run."""
    group = group_of(objective, method)
    rows = tables[f"mnist_{group}_fauc"]["values"]
    return {
        int(digit): (row[method]["value"], *row[method]["ci95"])
        for digit, row in rows.items()
        if method in row and (objective == "regression" or group == objective)
    }


def _every(better: Mapping[int, bool], asked: int = len(DIGITS)) -> Verdict:
    """Judge a claim about so many digits by those run."""
    against = [digit for digit, holds in better.items() if not holds]
    evidence = f"{len(better)} of {asked} digits run"
    if against:
        evidence += f", not for {', '.join(map(str, against))}"
    return Verdict(not against, evidence) if better else Verdict(None)


def _means(columns: Mapping[str, Column]) -> tuple[dict[str, float], int]:
    """Return each column's mean over the digits that all of them have, and how many these are."""
    common = set(DIGITS).intersection(*columns.values())
    return {name: float(np.mean([each[d][0] for d in common])) for name, each in columns.items() if common}, len(common)


def _mean_ahead(method: str) -> Claim:
    def judge(tables: Mapping[str, Any], _: Results) -> Verdict:
        pair = {name: column(tables, name, method) for name in ("regression", "classification")}
        means, n = _means(pair)
        if not n:
            return Verdict(None)
        evidence = f"{means['regression']:.1f} against {means['classification']:.1f}, mean of {n} digits"
        return Verdict(means["regression"] > means["classification"], evidence)

    return Claim("4.1", f"Regression reaches more than classification: {NAMES[method]}", judge)


def _ahead_of(text: str, first: Iterable[str], others: Callable[[str, str], bool], section: str = "4.1") -> Claim:
    """Claim that, for all digits, each of ``first`` under regression is above every other that is asked for."""

    def judge(tables: Mapping[str, Any], _: Results) -> Verdict:
        ahead = [column(tables, "regression", method) for method in first]
        behind = [
            found
            for objective in ("regression", "classification")
            for method in NAMES
            if others(objective, method) and (found := column(tables, objective, method))
        ]
        return _every(
            {
                digit: min(each[digit][0] for each in ahead) > max(each[digit][0] for each in behind if digit in each)
                for digit in DIGITS
                if all(digit in each for each in ahead) and any(digit in each for each in behind)
            }
        )

    return Claim(section, text, judge)


def _order(text: str, objective: str, expected: Iterable[frozenset[str]]) -> Claim:
    """Claim an order by mean FAUC; methods of one set may change places."""

    def judge(tables: Mapping[str, Any], _: Results) -> Verdict:
        means, n = _means({method: column(tables, objective, method) for method in METHODS})
        if not n:
            return Verdict(None)
        ranked = sorted(means, key=lambda method: -means[method])
        evidence = " > ".join(f"{NAMES[method]} {means[method]:.1f}" for method in ranked)
        start, holds = 0, True
        for group in expected:
            holds &= set(ranked[start : start + len(group)]) == group
            start += len(group)
        return Verdict(holds, f"{evidence}; mean of {n} digits")

    return Claim("4.1", text, judge)


def _pair(
    section: str,
    text: str,
    one: tuple[str, str],
    other: tuple[str, str],
    fits: Callable[[int, tuple[float, ...], tuple[float, ...]], bool],
    digits: tuple[int, ...] = DIGITS,
    most: bool = False,
) -> Claim:
    """Claim something of two columns at each of some digits, or at most of them."""

    def judge(tables: Mapping[str, Any], _: Results) -> Verdict:
        a, b = column(tables, *one), column(tables, *other)
        fitting = {digit: fits(digit, a[digit], b[digit]) for digit in digits if digit in a and digit in b}
        verdict = _every(fitting, len(digits))
        return verdict._replace(holds=2 * sum(fitting.values()) > len(fitting)) if most and fitting else verdict

    return Claim(section, text, judge)


def _at_least(digit: int, one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Above, or with intervals that overlap."""
    return one[2] >= other[1]


def _above(digit: int, one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] > other[0]


def _in_maps(text: str, figure: str) -> Claim:
    """Claim that a figure of GP-Unet's maps is lower under regression; only maps tell."""

    def judge(_: Mapping[str, Any], results: Results) -> Verdict:
        lower, found = {}, []
        for digit in DIGITS:
            pair = [results.evaluations.get((name, "gp_unet", digit)) for name in ("regression", "classification")]
            values = [each["maps"][figure] for seeds in pair if seeds for each in seeds[:1]]
            if len(values) == 2 and None not in values:
                lower[digit] = values[0] < values[1]
                found.append(values)
        verdict = _every(lower)
        if not found:
            return verdict
        regression, classification = np.mean(found, axis=0)
        return verdict._replace(evidence=f"{regression:.2f} against {classification:.2f}; {verdict.evidence}")

    return Claim("4.1", text, judge)


def _lower_loss(_: Mapping[str, Any], results: Results) -> Verdict:
    losses = {
        digit: [
            results.trainings["regression", name, digit][0]["validation_loss"]
            for name in ("gp_unet", "gp_unet_no_skip", "gp_unet_max_pool")
            if ("regression", name, digit) in results.trainings
        ]
        for digit in DIGITS
    }
    return _every({digit: found[0] < min(found[1:]) for digit, found in losses.items() if len(found) == 3})


_UNETS = ("gp_unet", "gp_unet_no_residual")
CLAIMS = (
    *(_mean_ahead(method) for method in METHODS),
    _ahead_of(
        "Regression GP-Unet no residual is the best, for all digits",
        ["gp_unet_no_residual"],
        lambda objective, method: method in METHODS and (objective, method) != ("regression", "gp_unet_no_residual"),
    ),
    _ahead_of(
        "Both GP-Unet regression methods are better than any other, for all digits",
        _UNETS,
        lambda objective, method: method in METHODS and not (objective == "regression" and method in _UNETS),
    ),
    _order(
        "The order under regression: no residual, GP-Unet, Grad-CAM, Guided-backprop, then Grad and Gated Attention",
        "regression",
        [
            *(frozenset([method]) for method in (*_UNETS[::-1], "grad_cam", "guided_backprop")),
            frozenset(["grad", "gated_attention"]),
        ],
    ),
    _order(
        "The order under classification: Guided-backprop, Grad-CAM, no residual",
        "classification",
        [frozenset([method]) for method in ("guided_backprop", "grad_cam", "gp_unet_no_residual")],
    ),
    *(
        _pair(
            "4.1",
            f"Guided-backprop is better than Grad, for all digits, under {objective}",
            (objective, "guided_backprop"),
            (objective, "grad"),
            _above,
        )
        for objective in ("regression", "classification")
    ),
    _pair(
        "4.1",
        "Regression Grad is as good as (digits 4, 6, 7) or better than (0, 9) classification Guided-backprop",
        ("regression", "grad"),
        ("classification", "guided_backprop"),
        lambda digit, one, other: _above(digit, one, other) if digit in (0, 9) else _at_least(digit, one, other),
        (0, 4, 6, 7, 9),
    ),
    _in_maps("GP-Unet's map highlights all targets alike, more so under regression (spread of its heights)", "spread"),
    _in_maps("Without a target GP-Unet's map is emptier under regression (highest value, of a target's)", "empty"),
    _pair(
        "4.2",
        "Blockwise skip connections help digits 1 and 7",
        ("regression", "gp_unet"),
        ("regression", "gp_unet_no_skip"),
        _above,
        (1, 7),
    ),
    _pair(
        "4.2",
        "Without them most other digits are detected no worse",
        ("regression", "gp_unet_no_skip"),
        ("regression", "gp_unet"),
        _at_least,
        (0, 2, 3, 4, 5, 6, 8, 9),
        most=True,
    ),
    _pair(
        "4.2",
        "Global max pooling is worse, for all digits",
        ("regression", "gp_unet"),
        ("regression", "gp_unet_max_pool"),
        _above,
    ),
    Claim("4.2", "The proposed architecture reaches the lowest validation loss, for all digits", _lower_loss),
)
