"""What a guard may do when a monitor trips, from the mildest to the harshest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from affekt.errors import closest
from affekt.guards.homeostat import Homeostat

__all__ = [
    "LADDER",
    "Action",
    "Checked",
    "Counter",
    "Damp",
    "Flag",
    "Number",
    "Observe",
    "Push",
    "Range",
    "Refuse",
    "Resample",
    "Stop",
    "as_action",
    "spelt",
]

LADDER = ("observe", "flag", "damp", "counter", "resample", "refuse", "stop")
"""Every action, each harsher than the one before it."""

_LIMITS = Homeostat()


def _number(value: Any) -> Any:
    """Refuses what pydantic would take for a number, such as `yes`."""
    if isinstance(value, bool | str):
        raise PydanticCustomError("number", "expected a number, not {value}", {"value": repr(value)})
    return value


Number: TypeAlias = Annotated[FiniteFloat, BeforeValidator(_number)]
"""A finite number."""


def spelt(word: str, known: Iterable[str], what: str = "key") -> str:
    """`unknown key 'x'; did you mean 'y'?`, or the words there are."""
    words = tuple(known)
    return f"unknown {what} {word!r}{closest(word, words) or '; there are ' + ', '.join(words)}"


class Checked(BaseModel):
    """A part of a policy: frozen, and any key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    message = spelt(str(key), cls.model_fields)
                    raise PydanticCustomError("key", "{message}", {"message": message, "at": (str(key),)})
        return data


class Range(Checked):
    """Bounds for a reading, in z; at least one."""

    low: Number | None = None
    """The lowest reading left."""
    high: Number | None = None
    """The highest reading left."""

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low is None and self.high is None:
            raise ValueError("give 'low', 'high' or both, in z")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        return self


class Push(Checked):
    """A raw dose, for vectors whose dial is not calibrated."""

    dose: Annotated[Number, Field(ge=-1, le=1)]
    """In mean residual norms."""


def _dial_or_dose(value: Any) -> str:
    return "dose" if isinstance(value, dict | Push) else "dial"


Dial: TypeAlias = Annotated[Number, Field(ge=-1, le=1)]

Strength: TypeAlias = Annotated[
    Annotated[Dial, Tag("dial")] | Annotated[Push, Tag("dose")], Discriminator(_dial_or_dose)
]
"""A dial, or a raw dose."""

CounterBias: TypeAlias = Annotated[dict[str, Strength], Field(min_length=1)]
"""What is turned up or down at full strength; a concept and its dial."""


class Observe(Checked):
    """Write an event, nothing else."""

    do: Literal["observe"] = "observe"


class Flag(Checked):
    """Mark the reply."""

    do: Literal["flag"] = "flag"


class Damp(Checked):
    """Hold readings within a range, from the next token to the reply's end."""

    do: Literal["damp"] = "damp"
    hold: Annotated[dict[str, Range], Field(min_length=1)] | None = None
    """The range of each concept; without it, what is watched is held at the threshold."""


class Counter(Checked):
    """Steer against it, as strongly as it takes, until the reading is back: the homeostat."""

    do: Literal["counter"] = "counter"
    bias: CounterBias
    """The strongest counter-bias."""
    release: Annotated[int, Field(ge=1)] = _LIMITS.release
    """How many tokens under the threshold it takes to let go."""
    gain: Annotated[Number, Field(ge=0.005, le=0.1)] = _LIMITS.gain
    """How fast it acts: dose per token and z of excess."""
    band: Annotated[Number, Field(ge=0.25)] = _LIMITS.band
    """How far under the threshold the reading is brought, in z."""


class Resample(Checked):
    """Drop the last tokens and go on under a counter-bias, which stays; where that does not help, end."""

    do: Literal["resample"] = "resample"
    bias: CounterBias
    """The counter-bias at the last try; of m tries, the i-th has i/m of it."""
    drop: Annotated[int, Field(ge=1)] = 8
    """How many of the latest tokens go, the one that tripped included."""
    times: Annotated[int, Field(ge=1, le=16)] = 2
    """How many tries a reply has."""
    text: Annotated[str, Field(min_length=1)] | None = None
    """What the reply says instead when all tries failed; without it the reply ends there."""


class Refuse(Checked):
    """Replace the reply."""

    do: Literal["refuse"] = "refuse"
    text: Annotated[str, Field(min_length=1)]
    """What it says instead."""


class Stop(Checked):
    """End the reply before the token that tripped."""

    do: Literal["stop"] = "stop"


def as_action(value: Any) -> Any:
    """The short form `stop` as `{do: stop}`; the name checked, so that the error speaks of it alone."""
    if isinstance(value, str):
        value = {"do": value}
    if isinstance(value, dict):
        if "do" not in value:
            words = ", ".join(LADDER)
            raise PydanticCustomError("action", "'do' is missing; it is one of {words}", {"words": words})
        if value["do"] not in LADDER:
            message = spelt(str(value["do"]), LADDER, "action")
            raise PydanticCustomError("action", "{message}", {"message": message, "at": ("do",)})
    return value


Action: TypeAlias = Annotated[
    Annotated[Observe | Flag | Damp | Counter | Resample | Refuse | Stop, Field(discriminator="do")],
    BeforeValidator(as_action),
]
"""One of the actions; written as a name, or as a mapping with `do`."""
