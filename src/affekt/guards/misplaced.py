"""What is wrong with settings from a file, and where in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from affekt.errors import PolicyError
from affekt.guards.document import At, written

__all__ = ["Misplaced", "misplaced"]


class Misplaced(PolicyError):
    """What is wrong with a policy, and where in it."""

    def __init__(self, at: At, message: str) -> None:
        super().__init__(f"{written(at)}: {message}" if at else message)
        self.at = at
        """Keys and places in lists."""
        self.message = message
        """What is wrong there."""


def misplaced(error: ValidationError, settings: Mapping[str, Any]) -> Misplaced:
    """The first thing that pydantic found; the names of its own branches left out of the place."""
    first = error.errors(include_url=False)[0]
    at: list[str | int] = []
    here: Any = settings
    for key in (*first["loc"], *first.get("ctx", {}).get("at", ())):
        if isinstance(here, Mapping) and key in here:
            here = here[key]
        elif isinstance(key, int) and isinstance(here, list | tuple):
            here = here[key]
        elif first["type"] != "missing" or key != first["loc"][-1]:
            continue
        at.append(key)
    message = _WORDING.get(first["type"], first["msg"].removeprefix("Value error, "))
    return Misplaced(tuple(at), message[0].lower() + message[1:])


_WORDING = {
    "missing": "this key is missing",
    "model_type": "expected a mapping of keys to values",
    "dict_type": "expected a mapping of keys to values",
    "string_type": "expected text",
    "tuple_type": "expected a list",
}
