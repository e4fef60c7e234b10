"""Frozen settings objects to JSON-ready dicts and back; a key that is not known is an error."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from weakspot.errors import InputError

T = TypeVar("T")


def to_dict(settings: Any) -> dict[str, Any]:
    """Return the fields of a settings dataclass, nested ones included."""
    return dataclasses.asdict(settings)


def from_dict(kind: type[T], values: Mapping[str, Any], where: str = "settings") -> T:
    """Build a settings dataclass from a mapping, nested dataclasses included.

    Raises
    ------
    InputError
        For keys that ``kind`` does not have, or lacks; ``where`` says in the message what was being read.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(values.keys() - fields.keys()):
        raise InputError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(fields)}")
    required = {
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - values.keys()):
        raise InputError(f"{where}: {', '.join(missing)} missing")
    built = {
        name: from_dict(fields[name].type, value, f"{where}.{name}")  # type: ignore[arg-type]
        if dataclasses.is_dataclass(fields[name].type)
        else value
        for name, value in values.items()
    }
    return kind(**built)


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """Name what differs between two nested mappings, with both values.

    >>> differences({"recipe": {"steps": 8, "seed": 0}}, {"recipe": {"steps": 9, "seed": 0}})
    ['recipe.steps (8 then, 9 now)']
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return [
            line
            for key in dict.fromkeys([*old, *new])
            for line in differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
        ]
    return [] if old == new else [f"{name} ({old} then, {new} now)"]


def json_ready(value: Any) -> Any:
    """Return the value with lists for arrays and tuples, and None for what JSON has no number for: NaN and infinity.

    >>> json_ready({"fauc": float("nan"), "curve": np.array([0.0, np.inf])})
    {'fauc': None, 'curve': [0.0, None]}
    """
    if type(value) is float:  # first, for curves have a million
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: json_ready(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return json_ready(value.tolist())
    if isinstance(value, list | tuple):
        return [json_ready(each) for each in value]
    return json_ready(value.item()) if isinstance(value, np.generic) else value
