"""Figures as entries of a dict."""

from collections.abc import Mapping
from typing import Any

from weakspot.evaluation.bootstrap import Figure


def flat(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Return each figure as three entries: its name, with ``_sd`` and with ``_ci95``."""
    return {
        f"{name}{suffix}": part
        for name, figure in figures.items()
        for suffix, part in (("", figure.value), ("_sd", figure.sd), ("_ci95", figure.ci95))
    }
