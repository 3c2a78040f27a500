"""What a request to vLLM carries for Affekt: names and numbers, as one JSON string in its extra arguments."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from affekt.errors import BiasError
from affekt.steering.bias import Bias
from affekt.steering.plan import Plan, term_of

__all__ = ["END", "FIELD", "Collecting", "Late", "Nudge", "Order", "Segment"]

FIELD = "affekt"
"""The name in `SamplingParams.extra_args` (`vllm_xargs` over HTTP)."""


END = -1
"""As `Order.first`: the prompt's last token, where it is not known yet how long the prompt is."""


@dataclass(frozen=True)
class Late:
    """A bias of a prompt that only the worker sees: it knows its length, and no roles and no text."""

    bias: Bias
    """Whose places are `both`, `prompt`, `reply`, `first` or `last`."""
    chat: bool
    """Whether the prompt is a chat, so that its reply is the assistant's."""

    @property
    def is_even(self) -> bool:
        """Whether it does the same to every token, so that the same tokens of another turn, which ends its
        prompt elsewhere, are steered alike."""
        return all(
            term.where.place == "both" and term.ramp is None and term.mode in ("add", "ablate")
            for term in self.bias.terms
        )


@dataclass(frozen=True)
class Segment:
    """What steers a row from one of its positions on, until the next segment begins."""

    start: int
    """First position, prompt and reply counted through."""
    plan: Plan
    """What is done."""


@dataclass(frozen=True)
class Collecting:
    """Residuals that are wanted themselves."""

    layers: tuple[int, ...]
    """After which blocks."""
    picks: tuple[int, ...]
    """At which positions, ascending."""
    mean: bool
    """Whether their mean is wanted, or each."""


@dataclass(frozen=True)
class Nudge:
    """A random push at every position, for the self-check only."""

    layer: int
    """After which block."""
    size: float
    """Its Euclidean norm."""
    seed: int
    """Of its direction."""
    half: Literal["carrier", "other"] = "carrier"
    """Which part of a residual in two parts gets it; the sum is the same."""


@dataclass(frozen=True)
class Order:
    """What is done with one row."""

    key: str
    """Names the row on the channel; no two rows have the same."""
    read: int | None = None
    """The layer that is read; None reads nothing."""
    first: int = 0
    """First position that is read."""
    segments: tuple[Segment, ...] = ()
    """What steers it, by ascending starts."""
    late: Late | None = None
    """Instead of segments: what steers it, to be planned when its prompt is there."""
    collect: Collecting | None = None
    """Residuals wanted."""
    nudge: Nudge | None = None
    """The self-check's push."""

    def to_json(self) -> str:
        """As it goes into the extra arguments."""
        told: dict[str, Any] = {"key": self.key}
        if self.read is not None:
            told |= {"read": self.read, "first": self.first}
        if self.segments:
            told["segments"] = [[one.start, one.plan.to_dict()] for one in self.segments]
        if self.late is not None:
            told["late"] = [self.late.bias.to_dict()["terms"], self.late.chat]
        if self.collect is not None:
            told["collect"] = [list(self.collect.layers), list(self.collect.picks), self.collect.mean]
        if self.nudge is not None:
            told["nudge"] = [self.nudge.layer, self.nudge.size, self.nudge.seed, self.nudge.half]
        return json.dumps(told, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: Any) -> Order:
        """Reads `to_json` back.

        Raises:
            BiasError: for anything else.
        """
        try:
            told = json.loads(text)
            collect, nudge, late = told.get("collect"), told.get("nudge"), told.get("late")
            return cls(
                key=str(told["key"]),
                read=None if told.get("read") is None else int(told["read"]),
                first=int(told.get("first", 0)),
                segments=tuple(Segment(int(at), Plan.from_dict(p)) for at, p in told.get("segments", ())),
                late=None if late is None else _late(*late),
                collect=None if collect is None else _collecting(*collect),
                nudge=None if nudge is None else Nudge(*nudge),
            )
        except (
            LookupError,
            TypeError,
            ValueError,
            ArithmeticError,
            AttributeError,
            StopIteration,
            RecursionError,
        ) as error:
            raise BiasError(f"an order that this version of Affekt does not understand: {error!r}") from error

    def salt(self, vectors: str) -> str | None:
        """What keys vLLM's prefix cache: equal only for rows whose past was steered alike by the same
        vectors; None for one that is not steered.

        Args:
            vectors: a hash of the vectors.
        """
        if self.nudge is None and self.late is None and not self.segments:
            return None
        told = {"segments": [[one.start, one.plan.to_dict()] for one in self.segments]}
        late = None
        if self.late is not None:
            late = [self.late.bias.key(), self.late.chat, "" if self.late.is_even else self.key]
        body = json.dumps([vectors, told, str(self.nudge), late], sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()[:32]


def _late(terms: Any, chat: Any) -> Late:
    return Late(Bias(tuple(term_of(term) for term in terms)), bool(chat))


def _collecting(layers: Any, picks: Any, mean: Any) -> Collecting:
    return Collecting(tuple(int(layer) for layer in layers), tuple(int(at) for at in picks), bool(mean))
