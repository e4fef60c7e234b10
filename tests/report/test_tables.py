"""One table, laid out in three ways."""

from weakspot.report.tables import Table, number, percent

TABLE = Table(
    "Results of 50 % of {a_b}",
    ("method", "FAUC (%)"),
    (("grad_cam", "97.4 (96.4 - 98.4)"), ("[bold]a|b & <c>", "9.5")),
    frozenset({(0, 1)}),
    "p >= 0.05",
)


def test_text():
    assert TABLE.text().splitlines() == [
        "Results of 50 % of {a_b}",
        "",
        "method                       FAUC (%)",
        "─" * 37,
        "grad_cam          *97.4 (96.4 - 98.4)",
        "[bold]a|b & <c>                   9.5",
        "",
        "p >= 0.05",
    ]


def test_markdown():
    assert TABLE.markdown().splitlines() == [
        "**Results of 50 % of {a_b}**",
        "",
        "| method | FAUC (%) |",
        "| :--- | ---: |",
        "| grad_cam | **97.4 (96.4 - 98.4)** |",
        r"| [bold]a\|b & <c> | 9.5 |",
        "",
        "p >= 0.05",
    ]


def test_latex():
    assert TABLE.latex().splitlines() == [
        r"\begin{table}",
        r"\caption{Results of 50 \% of \{a\_b\}}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"method & FAUC (\%) \\",
        r"\midrule",
        r"grad\_cam & \textbf{97.4 (96.4 - 98.4)} \\",
        r"[bold]a|b \& $<$c$>$ & 9.5 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\footnotesize p $\geq$ 0.05",
        r"\end{table}",
    ]


def test_wide_tables_are_not_cut():
    name = "m" * 300
    assert name in Table("t", ("", ""), ((name, "1"),)).text()


def test_values_with_their_intervals():
    assert percent(0.974, (0.964, 0.984)) == "97.4 (96.4 - 98.4)"
    assert percent(0.5, (None, None)) == "50.0"
    assert percent(None) == number(float("nan")) == "not defined"
    assert number(-0.25, (-0.5, 0.125), "{:+.2f}") == "-0.25 (-0.50 to +0.12)"
    assert number(-1, (-5.04, -0.5)) == "-1.00 (-5.04 to -0.50)"
    assert number(0.5, (0.25, 0.75)) == "0.50 (0.25 - 0.75)"
