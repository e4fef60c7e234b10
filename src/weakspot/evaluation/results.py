"""Results to JSON-ready dicts."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from weakspot.evaluation.bootstrap import Figure


def flat(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Return each figure as three entries: its name, with ``_sd`` and with ``_ci95``."""
    return {
        f"{name}{suffix}": part
        for name, figure in figures.items()
        for suffix, part in (("", figure.value), ("_sd", figure.sd), ("_ci95", figure.ci95))
    }


def json_ready(value: Any) -> Any:
    """Return the value with lists for arrays and tuples, and None for what JSON has no number for: NaN and infinity.

    >>> json_ready({"fauc": float("nan"), "curve": np.array([0.0, np.inf])})
    {'fauc': None, 'curve': [0.0, None]}
    """
    if isinstance(value, Mapping):
        return {key: json_ready(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return json_ready(value.tolist())
    if isinstance(value, list | tuple):
        return [json_ready(each) for each in value]
    if isinstance(value, np.generic):
        return json_ready(value.item())
    return None if isinstance(value, float) and not np.isfinite(value) else value
