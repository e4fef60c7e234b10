"""Tables of evaluations, comparisons and agreements, from their dicts."""

import itertools
from collections.abc import Mapping
from typing import Any

from weakspot.report.tables import Table, number, percent

_INTERVAL = "95 % interval over subjects"
_COLUMNS = {
    "sensitivity": "sensitivity (%)",
    "fp_avg": "false positives an image",
    "fn_avg": "missed an image",
}


def evaluation_tables(result: Mapping[str, Any]) -> list[Table]:
    """Return the figures of `Evaluation.to_dict` with the conventions that they hang on, and the rates of the curve."""

    def row(name: str, key: str, form: str = "{:.2f}", unit: float = 1) -> tuple[str, str]:
        return name, number(result[key], result[f"{key}_ci95"], form, unit)

    rows = [
        row(f"FAUC, 0 to {result['conventions']['max_fp']:g} false positives an image (%)", "fauc", "{:.1f}", 100),
        row("sensitivity (%)", "sensitivity", "{:.1f}", 100),
        row("precision (%)", "precision", "{:.1f}", 100),
        row("F1 (%)", "f1", "{:.1f}", 100),
        row("false positives an image", "fp_avg"),
        row("missed an image", "fn_avg"),
    ]
    if "count_mae" in result:
        rows += [
            row("count error, mean absolute", "count_mae"),
            row("count error, bias", "count_bias", "{:+.2f}"),
            row("count error, lower limit of agreement", "count_limit_low", "{:+.2f}"),
            row("count error, upper limit of agreement", "count_limit_high", "{:+.2f}"),
            row("counts, ICC(A,1)", "count_icc"),
        ]
    title = f"{_images(result)}: {_counted(result, 'object')}, {_counted(result, 'detection')}"
    figures = Table(title, ("", f"value ({_INTERVAL})"), tuple(rows), note=_conventions(result))
    return [figures, _rates_table(result)] if result["sensitivity_at"] else [figures]


def _rates_table(result: Mapping[str, Any]) -> Table:
    kept = "k" if result["conventions"]["selection"] == "top_k" else "lowest score kept"
    return Table(
        "Sensitivity at given false positives an image",
        ("false positives an image", f"sensitivity (%) ({_INTERVAL})", kept),
        tuple(
            (
                f"{at['fp']:g}",
                percent(at["sensitivity"], at["sensitivity_ci95"]),
                "nothing kept" if at["threshold"] is None else f"{at['threshold']:.6g}",
            )
            for at in result["sensitivity_at"]
        ),
        note=f"sensitivity: read off the curve, linear between its points; {kept}:"
        f" {result['conventions']['threshold_at_rate']}",
    )


def comparison_tables(result: Mapping[str, Any]) -> list[Table]:
    """Return the figures of `Comparison.to_dict`, a method a row, the best marked; and the tests, a pair a row."""
    names, methods, tests = result["order"], result["methods"], result["tests"]
    first, alpha = methods[names[0]], result["test_conventions"]["alpha"]
    columns = {"fauc": f"FAUC 0-{first['conventions']['max_fp']:g} (%)", **_COLUMNS}
    # Of a figure that is defined, a test may still not be possible: without resamples, with one subject.
    untested = [columns[m] for m in columns if tests[m]["p"][0][1] is None and any(tests[m]["marked"])]
    note = f"marked: the best, and what is not significantly worse (p >= {alpha}, Holm)"
    if untested:
        note += f"; not tested, so that the best alone is marked: {', '.join(untested)}"
    figures = Table(
        f"{_images(first)}: {_counted(first, 'object')}; {_INTERVAL}",
        ("method", *columns.values()),
        tuple((name, *(_cell(methods[name], measure) for measure in columns)) for name in names),
        frozenset(
            (row, 1 + column)
            for column, measure in enumerate(columns)
            for row, marked in enumerate(tests[measure]["marked"])
            if marked
        ),
        f"{note}; {_conventions(first)}",
    )
    pairs = itertools.combinations(range(len(names)), 2)
    p_values = Table(
        "p-values, in brackets adjusted by Holm's method",
        ("methods", *columns.values()),
        tuple(
            (f"{names[a]} - {names[b]}", *(_p_values(tests[measure], a, b) for measure in columns)) for a, b in pairs
        ),
        note="FAUC: paired bootstrap over subjects; others: Wilcoxon signed-rank test on the means of subjects",
    )
    return [figures, p_values]


def agreement_table(result: Mapping[str, Any], first: str, second: str) -> Table:
    """Return the figures of `Agreement.to_dict` for two sets of points of these names."""
    sides = (result["first_as_reference"], result["second_as_reference"])
    rows = [(name, *(_cell(side, key) for side in sides)) for key, name in _COLUMNS.items()]
    rows += [
        (name, number(result[key], result[f"{key}_ci95"]), "")
        for key, name in (("kappa", "kappa, any object in the image"), ("icc", "ICC(A,1) of the counts"))
    ]
    title = f"{_images(result)}; {first}: {result['n_first']} points, {second}: {result['n_second']}"
    header = (_INTERVAL, f"{second} against {first}", f"{first} against {second}")
    return Table(title, header, tuple(rows), note=_conventions(result))


def _cell(result: Mapping[str, Any], key: str) -> str:
    return (percent if key in ("fauc", "sensitivity") else number)(result[key], result[f"{key}_ci95"])


def _p_values(test: Mapping[str, Any], row: int, column: int) -> str:
    plain, adjusted = (test[name][row][column] for name in ("p", "p_holm"))
    return "-" if plain is None else f"{_p_value(plain)} ({_p_value(adjusted)})"


def _p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _conventions(result: Mapping[str, Any]) -> str:
    """Return the conventions in words, but for what is said elsewhere: the radius in "hit", rates in their table."""
    elsewhere = {"meaning", "radius", "rates", "threshold_at_rate"}
    named = {name: value for name, value in result["conventions"].items() if value is not None}
    return "; ".join(f"{name}: {value}" for name, value in named.items() if name not in elsewhere)


def _images(result: Mapping[str, Any]) -> str:
    """Return of how many images and subjects, which the bootstrap draws, the figures are."""
    alone = result["n_images"] == result["n_subjects"]
    return f"{_counted(result, 'image')}, {'each a subject' if alone else 'of ' + _counted(result, 'subject')}"


def _counted(result: Mapping[str, Any], what: str) -> str:
    many = result[f"n_{what}s"]
    return f"{many} {what}{'' if many == 1 else 's'}"
