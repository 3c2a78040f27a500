"""One part of a bias: what is done with a concept, at which layers, on which tokens, how fast."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Mode", "Place", "Ramp", "Term", "Where"]

Mode = Literal["add", "ablate", "clamp", "set"]
"""`add` pushes; `ablate` projects out; `clamp` holds the read-out in a range, `set` at a value."""

Place = Literal["both", "prompt", "reply", "role", "span", "first", "last", "after"]
"""The kinds of `Where`."""


@dataclass(frozen=True)
class Where:
    """Which tokens of a row a term reaches.

    The first token of a reply is chosen at the prompt's last token: a term on `reply` acts from the second
    on.
    """

    place: Place = "both"
    """`both` is every token, those decoded too; `prompt` and `reply` are its two parts."""
    value: str | int | tuple[int, int] | None = None
    """The role, the marker, the number of tokens, or the span as characters of the rendered prompt."""
    of: Literal["prompt", "reply"] = "prompt"
    """Whose `first` tokens; `last` ones are always the prompt's."""

    @property
    def side(self) -> Literal["prompt", "reply", "both"]:
        """The part of a row it can reach at all; a reply has the role `assistant`, or `text` after a text."""
        match self.place:
            case "prompt" | "span" | "last":
                return "prompt"
            case "reply":
                return "reply"
            case "role":
                return "both" if self.value in ("assistant", "text") else "prompt"
            case "first":
                return self.of
            case _:
                return "both"

    def apart(self, other: Where) -> bool:
        """Whether no token can be in both, whatever the prompt."""
        roles = self.place == other.place == "role" and self.value != other.value
        return roles or {self.side, other.side} == {"prompt", "reply"}


@dataclass(frozen=True)
class Ramp:
    """The share of a term's strength over the tokens it reaches, counted from the first of them."""

    over: int
    """How many tokens it takes to go from `start` to `end`; it stays at `end` after."""
    start: float = 0.0
    """Share at the first token, 0 to 1."""
    end: float = 1.0
    """Share from token `over` (counted from 0) on, 0 to 1."""

    def at(self, rank: int) -> float:
        """The share at the token number `rank`, from 0."""
        return self.start + (self.end - self.start) * min(1.0, rank / self.over)


@dataclass(frozen=True)
class Term:
    """One thing done with one concept. Of `dose`, `low`, `high`, `value` only those of its mode are used."""

    concept: str
    """The concept's name."""
    mode: Mode
    """What is done."""
    layers: tuple[int, ...]
    """Where in depth, ascending."""
    dose: float = 0.0
    """`add`: signed, in mean residual norms."""
    share: bool = True
    """`add`: whether the dose is shared out over the layers; else each gets it whole."""
    low: float = -math.inf
    """`clamp`: least z."""
    high: float = math.inf
    """`clamp`: largest z."""
    value: float = 0.0
    """`set`: the z."""
    where: Where = Where()
    """On which tokens."""
    ramp: Ramp | None = None
    """How the strength changes over them; none: full at once."""

    @property
    def is_zero(self) -> bool:
        """Whether it changes nothing, whatever the text."""
        idle = self.ramp is not None and self.ramp.start == self.ramp.end == 0.0
        return idle or (self.mode == "add" and self.dose == 0.0)

    @property
    def constrains(self) -> bool:
        """Whether it holds a reading (ablate, clamp, set) rather than pushes."""
        return self.mode != "add"

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values; infinite bounds become None."""
        fields = asdict(self)
        return fields | {key: fields[key] if math.isfinite(fields[key]) else None for key in ("low", "high")}
