"""An event: a monitor tripped, and what followed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Event"]


@dataclass(frozen=True)
class Event:
    """One trip of one monitor. A monitor that stays beyond its threshold trips once."""

    time: str
    """When, in UTC, as ISO 8601."""
    request: str
    """The request's id."""
    choice: int
    """Which of its replies."""
    monitor: str
    """The monitor's name."""
    position: str
    """Where the monitor looks."""
    token: int | None
    """Place in the reply, from 0, of the token that was read; None at the prompt's end."""
    text: str
    """That token's text; empty at the prompt's end."""
    value: float
    """The monitor's value there, in z."""
    threshold: float
    """The last value it allows."""
    direction: str
    """Which side of the threshold is too much."""
    action: str
    """What the policy does about it."""
    followed: str
    """What became of it."""
    values: Mapping[str, float]
    """The values of all monitors that had one there, by name."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values; a reading that is no number becomes None."""
        fields = asdict(self)
        fields["value"] = _finite(self.value)
        fields["values"] = {name: _finite(value) for name, value in self.values.items()}
        return fields

    def to_json(self) -> str:
        """`to_dict` as one line."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        where = "at the prompt's end" if self.token is None else f"at token {self.token} ({self.text!r})"
        side = "over" if self.direction == "above" else "under"
        return (
            f"{self.monitor}: {self.value:.2f} is {side} {self.threshold:.2f} {where}; "
            f"{self.action}: {self.followed}"
        )


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
