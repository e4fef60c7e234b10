"""Options that commands share, as the fields of a dataclass."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from typing import Any


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Have typer see each field of a command's parameter ``options`` as an option of its own."""
    signature = inspect.signature(command)
    kind = signature.parameters["options"].annotation
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "options"]
    shared = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=field.type,
        )
        for field in fields(kind)
    ]

    @wraps(command)
    def taking(**given: Any) -> None:
        options = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given, options=options)

    taking.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
    return taking
