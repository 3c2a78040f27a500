"""A rule: a monitor and what happens when it trips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from affekt.errors import PolicyError
from affekt.guards.action import LADDER, Action, Checked, Number
from affekt.guards.monitor import AXES, Direction, Monitor, Position

__all__ = ["Rule"]


def _rate(value: Any) -> Any:
    """`1 %` as 0.01."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            return float(value.strip()[:-1]) / 100
        except ValueError:
            return value
    return value


def _one_or_several(value: Any) -> str:
    return "several" if isinstance(value, dict) else "one"


What = Annotated[
    Annotated[str, Tag("one")] | Annotated[dict[str, Number], Tag("several")], Discriminator(_one_or_several)
]

Rate = Annotated[Number, Field(gt=0, lt=1), BeforeValidator(_rate)]


class Rule(Checked):
    """A monitor and its action."""

    name: Annotated[str, Field(min_length=1)] = ""
    """What events call it; made from the rest unless given."""
    what: What
    """A concept, `valence`, `arousal`, or concepts with weights."""
    position: Position = "reply"
    """At which tokens it is checked."""
    window: Annotated[int, Field(ge=1)] | None = None
    """How many tokens a `window` spans."""
    direction: Direction = "above"
    """Which side of the threshold is too much."""
    threshold: Number | None = None
    """The last value allowed, in z; either this or `rate`."""
    rate: Rate | None = None
    """False alarms per reply for which a calibration sets the threshold, such as 0.01 or `1 %`."""
    action: Action
    """What happens when it trips."""

    @model_validator(mode="after")
    def _whole(self) -> Rule:
        if (self.threshold is None) == (self.rate is None):
            raise ValueError("give either 'threshold' (in z) or 'rate' (false alarms per reply, calibrated)")
        if not self.name:
            name = f"{self._words()} {self.direction} at {self.position}: {self.action.do}"
            object.__setattr__(self, "name", name)
        try:
            self.monitor()
        except PolicyError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def rank(self) -> int:
        """How harsh its action is."""
        return LADDER.index(self.action.do)

    def monitor(self) -> Monitor:
        """What it watches; without a threshold where a calibration has to set it."""
        return Monitor(self.name, self.what, self.position, self.threshold, self.direction, self.window)

    def concepts(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Every concept that it names, and where."""
        if isinstance(self.what, str):
            if self.what not in AXES:
                yield ("what",), self.what
        else:
            yield from ((("what", name), name) for name in self.what)
        for key in ("bias", "hold"):
            yield from ((("action", key, name), name) for name in getattr(self.action, key, None) or ())

    def _words(self) -> str:
        if isinstance(self.what, str):
            return self.what
        return " ".join(f"{weight:+g} {name}" for name, weight in self.what.items())
