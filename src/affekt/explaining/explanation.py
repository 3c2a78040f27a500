"""What an explanation says: effects of ablations against chance, and where the concepts fired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from affekt.errors import ReadingError, UnknownConcept
from affekt.explaining.chance import Verdict
from affekt.reading.reading import Reading
from affekt.reading.roles import CONTENT

__all__ = ["FIRES", "PLACES", "Control", "Effect", "Explanation", "Firing", "Place", "Replied"]

Place = Literal["both", "prompt", "reply"]
"""Where a direction is projected out: at every token, at the prompt's, or at the reply's."""

PLACES: tuple[Place, ...] = ("both", "prompt", "reply")

FIRES = 2.0
"""The z from which on a concept counts as fired at a token."""

FORMAT = "affekt.explanation/1"


@dataclass(frozen=True)
class Replied:
    """One reply after its prompt, unsteered."""

    reading: Reading
    """Every token of prompt and reply, for the concepts tested."""
    prompt_tokens: int
    """How many of the tokens are the prompt's."""
    logprobs: tuple[float, ...]
    """Log-probability of each of the reply's tokens, nats."""

    @property
    def text(self) -> str:
        """What the reply says."""
        written = [a for a, b in self.reading.spans[self.prompt_tokens :] if b > a]
        return self.reading.text[min(written, default=len(self.reading.text)) :]

    @property
    def logprob(self) -> float:
        """Log-probability of the whole reply, nats."""
        return float(np.sum(self.logprobs))


@dataclass(frozen=True)
class Effect:
    """What one concept did for the reply at one place."""

    concept: str
    """The concept that was ablated."""
    place: Place
    """The tokens at which it was."""
    nats: float
    """Fall of the reply's log-probability; of a pair, of the log-odds of the first against the second."""
    share: float
    """Share of the residuals' sum of squares that the ablation takes there, mean over layers."""
    chance: Verdict
    """The fall against that of random directions which take as much."""
    n: int
    """How many random directions it was compared with."""
    p_corrected: float
    """`chance.p` times the number of comparisons made (Bonferroni)."""
    falls: tuple[tuple[float, ...], ...]
    """For each reply, the fall at each of its tokens, nats."""

    @property
    def stands_out(self) -> bool:
        """Whether it is beyond chance at 5 %, all comparisons counted."""
        return self.p_corrected < 0.05


@dataclass(frozen=True)
class Control:
    """What one random direction did."""

    like: str
    """The concept to whose share it was matched."""
    place: Place
    """The tokens at which it was projected out."""
    share: float
    """Share of the residuals' sum of squares that it takes there."""
    nats: float
    """Fall of the log-probability, or of the log-odds."""


@dataclass(frozen=True)
class Firing:
    """Where a concept showed in the readings of one reply's text."""

    concept: str
    """The concept."""
    first: int | None
    """First token at which z is at least `FIRES`; None where it never is. Tokens are words, the text's very
    first one left out, and the prompt's last token."""
    peak: int
    """The token of the highest z."""
    z: float
    """That z."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why this reply, or why this one and not that one."""

    replies: tuple[Replied, ...]
    """The reply explained and, of a pair, the one it is set against."""
    effects: tuple[Effect, ...]
    """Every concept tested at every place, those that caused the reply most first, place by place."""
    controls: tuple[Control, ...]
    """Every random direction at every place."""
    layers: tuple[int, ...]
    """The layers at which was ablated."""
    screen: str
    """How the concepts tested were chosen."""
    rows: int
    """How many rows were scored."""
    seed: int
    """Of the random directions."""

    @property
    def is_pair(self) -> bool:
        """Whether it says why one reply and not the other."""
        return len(self.replies) == 2

    @property
    def nats(self) -> float:
        """The reply's log-probability; of a pair, the log-odds of the first against the second."""
        return self.replies[0].logprob - (self.replies[1].logprob if self.is_pair else 0.0)

    @property
    def places(self) -> tuple[Place, ...]:
        """The places tested; a reply of one token has no place of its own."""
        return tuple(place for place in PLACES if any(effect.place == place for effect in self.effects))

    @property
    def concepts(self) -> tuple[str, ...]:
        """The concepts tested, those that caused the reply most first."""
        return tuple(effect.concept for effect in self.ranking())

    def ranking(self, place: Place | None = None) -> tuple[Effect, ...]:
        """The effects at a place (default: everywhere at once), largest z first; those below 0 opposed it.

        Raises:
            ReadingError: for a place that was not tested.
        """
        place = self.places[0] if place is None else place
        if place not in self.places:
            raise ReadingError(f"nothing was ablated at {place!r}, only at {', '.join(self.places)}")
        there = [effect for effect in self.effects if effect.place == place]
        return tuple(sorted(there, key=lambda effect: -effect.chance.z))

    def of(self, concept: str, place: Place | None = None) -> Effect:
        """One effect; raises UnknownConcept, ReadingError."""
        there = {effect.concept: effect for effect in self.ranking(place)}
        if concept not in there:
            raise UnknownConcept(concept, there)
        return there[concept]

    def fired(self, reply: int = 0) -> tuple[Firing, ...]:
        """Where each tested concept first showed and where it was strongest, in the order of the ranking."""
        return tuple(_firing(self.replies[reply], concept) for concept in self.concepts)

    def to_dict(self) -> dict[str, Any]:
        """All of it in JSON's types."""
        return {
            "format": FORMAT,
            "model": self.replies[0].reading.model,
            "layers": list(self.layers),
            "screen": self.screen,
            "rows": self.rows,
            "seed": self.seed,
            "nats": _short(self.nats),
            "replies": [_replied(self, i) for i in range(len(self.replies))],
            "effects": [_effect(effect) for effect in self.effects],
            "controls": [
                asdict(own) | {key: _short(getattr(own, key)) for key in ("share", "nats")}
                for own in self.controls
            ],
        }


def _firing(reply: Replied, concept: str) -> Firing:
    roles, end = reply.reading.roles, reply.prompt_tokens - 1
    tokens = [i for i in range(1, len(roles)) if roles[i] in CONTENT or i == end]
    z = reply.reading.of(concept)[tokens]
    above = np.flatnonzero(z >= FIRES)
    peak = int(z.argmax())
    return Firing(concept, tokens[above[0]] if len(above) else None, tokens[peak], float(z[peak]))


def _replied(explanation: Explanation, i: int) -> dict[str, Any]:
    reply = explanation.replies[i]
    fired = [asdict(own) | {"z": _short(own.z)} for own in explanation.fired(i)]
    return {
        "text": reply.text,
        "prompt_tokens": reply.prompt_tokens,
        "logprob": _short(reply.logprob),
        "logprobs": _all(reply.logprobs),
        "fired": fired,
        "reading": reply.reading.to_dict(),
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {
        "concept": effect.concept,
        "place": effect.place,
        "nats": _short(effect.nats),
        "share": _short(effect.share),
        **{key: _short(value) for key, value in asdict(effect.chance).items()},
        "n": effect.n,
        "p_corrected": _short(effect.p_corrected),
        "stands_out": effect.stands_out,
        "falls": [_all(falls) for falls in effect.falls],
    }


def _all(values: Sequence[float]) -> list[float]:
    return [_short(value) for value in values]


def _short(value: float) -> float:
    """To five significant digits."""
    return float(f"{value:.5g}")
