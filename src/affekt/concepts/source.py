"""What can be read or continued: a plain text, or a chat as a list of messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

__all__ = ["Message", "Source"]

Message: TypeAlias = Mapping[str, Any]
"""One turn: at least `role` and `content`."""

Source: TypeAlias = str | Sequence[Message]
"""A plain text, or a chat."""
