"""The paper's claims, judged by tables worked out by hand and by the paper's own."""

import copy
from typing import Any

import pytest

from weakspot.studies.claims import CLAIMS, Verdict
from weakspot.studies.published import published
from weakspot.studies.results import Results

# The text of section 4.1 that its own tables B.9 and A.5 do not bear out.
AGAINST_ITS_TABLES = {
    "Regression reaches more than classification: Gated Attention",
    "The order under classification: Guided-backprop, Grad-CAM, no residual",
}


def judge(text: str, tables: Any, results: Results | None = None) -> Verdict:
    (claim,) = [claim for claim in CLAIMS if claim.text == text] or [claim for claim in CLAIMS if text in claim.text]
    return claim.judge(tables, results or Results())


def empty() -> dict[str, Any]:
    return {key: table | {"values": {}, "average": {}} for key, table in published().items()}


def cells(tables: dict[str, Any], group: str, digit: int, **values: float) -> dict[str, Any]:
    """Put FAUCs, each with an interval of one point to both sides, into tables."""
    row = tables[f"mnist_{group}_fauc"]["values"].setdefault(str(digit), {})
    row |= {method: {"value": value, "ci95": [value - 1, value + 1]} for method, value in values.items()}
    return tables


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.text[:60])
def test_the_paper_bears_itself_out_but_for_two_claims(claim: Any):
    verdict = claim.judge(published(), Results())
    assert verdict.holds is not (claim.text in AGAINST_ITS_TABLES)
    assert claim.judge(empty(), Results()) == Verdict(None)


def test_regression_against_classification_is_judged_by_common_digits():
    tables = cells(cells(empty(), "regression", 4, grad=80), "classification", 4, grad=70)
    cells(tables, "regression", 5, grad=0)  # no classification to compare with
    cells(tables, "classification", 6, grad=100)
    verdict = judge("Regression reaches more than classification: Grad", tables)
    assert str(verdict) == "holds (80.0 against 70.0, mean of 1 digits)"


@pytest.mark.parametrize(("rival", "holds"), [(98.9, True), (99.0, False), (99.1, False)])
def test_the_best_is_above_every_other_under_both_objectives(rival: float, holds: bool):
    tables = cells(empty(), "regression", 4, gp_unet_no_residual=99, gp_unet=97)
    cells(tables, "classification", 4, grad_cam=rival)
    assert judge("no residual is the best", tables) == Verdict(
        holds, "1 of 10 digits run" + ("" if holds else ", not for 4")
    )


def test_orders_need_all_methods_and_allow_ties_at_the_end():
    methods = {"gp_unet_no_residual": 99, "gp_unet": 97, "grad_cam": 95, "guided_backprop": 90}
    tables = cells(empty(), "regression", 4, **methods, grad=70)
    assert judge("order under regression", tables).holds is None
    assert judge("order under regression", cells(tables, "regression", 4, gated_attention=75)).holds
    assert judge("order under regression", cells(tables, "regression", 4, gated_attention=65)).holds
    assert judge("order under regression", cells(tables, "regression", 4, gated_attention=91)).holds is False


def test_no_worse_means_above_or_overlapping_for_most_digits():
    tables = empty()
    for digit, without in ((0, 98.5), (2, 93), (3, 96.5)):
        cells(tables, "architecture", digit, gp_unet=97, gp_unet_no_skip=without, gp_unet_max_pool=80)
        cells(tables, "regression", digit, gp_unet=97)
    verdict = judge("most other digits", tables)
    assert verdict == Verdict(True, "3 of 8 digits run, not for 2")
    cells(tables, "architecture", 3, gp_unet_no_skip=90)
    assert judge("most other digits", tables).holds is False
    assert judge("max pooling", tables).holds
    assert judge("help digits 1 and 7", tables).holds is None


def test_maps_and_losses_are_judged_by_the_records():
    uneven = {"spread": 0.4, "empty": 0.9}
    results = Results(
        {("regression", name, 4): [{"validation_loss": loss}] for name, loss in (("gp_unet", 1.0),)},
        {
            ("regression", "gp_unet", 4): [{"maps": {"spread": 0.2, "empty": 0.95}}],
            ("classification", "gp_unet", 4): [{"maps": uneven}],
        },
    )
    assert judge("highlights all targets alike", empty(), results) == Verdict(
        True, "0.20 against 0.40; 1 of 10 digits run"
    )
    assert judge("emptier", empty(), results).holds is False
    assert judge("lowest validation loss", empty(), results).holds is None
    for name, loss in (("gp_unet_no_skip", 1.5), ("gp_unet_max_pool", 0.9)):
        results.trainings["regression", name, 4] = [{"validation_loss": loss}]
    assert judge("lowest validation loss", empty(), results).holds is False


def test_a_changed_table_changes_a_verdict():
    tables = copy.deepcopy(published())
    text = "Guided-backprop is better than Grad, for all digits, under regression"
    assert judge(text, tables).holds
    tables["mnist_regression_fauc"]["values"]["6"]["guided_backprop"]["value"] = 1.0
    assert judge(text, tables) == Verdict(False, "10 of 10 digits run, not for 6")
