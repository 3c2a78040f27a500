"""What of a reply's readings a request wants to see, and in which form it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from affekt.concepts.concept import emotions
from affekt.engines.engine import Reply
from affekt.errors import PromptError, UnknownConcept
from affekt.reading.axes import axis_weights
from affekt.reading.reading import Reading

__all__ = ["Asked", "asked"]

AXES = ("valence", "arousal")
TOP = re.compile(r"top-(\d{1,3})")


@dataclass(frozen=True)
class Asked:
    """Which numbers are told of each token."""

    names: tuple[str, ...]
    """Concepts always told."""
    top: int
    """How many of the strongest are told beside them."""
    axes: Mapping[str, Float[np.ndarray, " read"]]
    """Weights, over `read`, of the derived axes that are told."""
    read: tuple[str, ...]
    """Concepts that the engine must read."""

    @cached_property
    def _places(self) -> list[tuple[str, int]]:
        """The names always told, each with its column."""
        where = {name: at for at, name in enumerate(self.read)}
        return [(name, where[name]) for name in self.names]

    def told(self, z: Float[np.ndarray, " read"]) -> dict[str, float]:
        """The numbers of one token, by name; the strongest first where `top` is asked for."""
        # Hundreds of these are told a second, so numbers are rounded all at once.
        values: list[float] = z.astype(np.float64).round(4).tolist()
        said = {name: values[at] for name, at in self._places}
        if self.top:
            for at in np.argsort(-z)[: self.top].tolist():
                said.setdefault(self.read[at], values[at])
        said.update({name: round(float(weights @ z), 4) for name, weights in self.axes.items()})
        return said

    def summary(self, reply: Reply) -> dict[str, dict[str, Any]]:
        """Per name: mean and maximum over the reply's words, where that is, and the prompt's end.

        `top` stands for the strongest by their mean over the reply."""
        reading, end = reply.reading, reply.prompt_tokens
        if reading is None:
            return {}
        said = self.summed(reading, range(end, len(reading)))
        first = self._values(reading.z[end - 1])
        return {name: {**figures, "prompt_end": round(first[name], 4)} for name, figures in said.items()}

    def summed(self, reading: Reading, tokens: Sequence[int]) -> dict[str, dict[str, Any]]:
        """Per name: mean and maximum over some of a reading's tokens, special ones left out; places count
        from the first of them."""
        words = [at for at in tokens if reading.roles[at] != "special"]
        if not words:
            return {}
        z = reading.z[words]
        strongest = [self.read[at] for at in np.argsort(-z.mean(0))[: self.top]]
        values = {name: z[:, self.read.index(name)] for name in dict.fromkeys((*self.names, *strongest))}
        values |= {name: z @ weights for name, weights in self.axes.items()}
        places = [word - tokens[0] for word in words]
        return {name: _figures(own, places) for name, own in values.items()}

    def _values(self, z: Float[np.ndarray, " read"]) -> dict[str, float]:
        """One token's value of everything that there is."""
        values = {name: float(value) for name, value in zip(self.read, z, strict=True)}
        return values | {name: float(weights @ z) for name, weights in self.axes.items()}


def asked(wanted: Sequence[str] | Literal["all"] | None, known: tuple[str, ...]) -> Asked | None:
    """What the field `emotions` of a request asks for; None where nothing is.

    Raises:
        UnknownConcept: for a name that is none of the concepts, `top-N`, `valence`, `arousal`.
        PromptError: for an axis that these concepts do not give.
    """
    if not wanted:
        return None
    if wanted == "all":
        return Asked(known, 0, {}, known)
    names, top, axes = [], 0, []
    for name in wanted:
        if match := TOP.fullmatch(name):
            top = max(top, min(int(match[1]), len(known)))
        elif name in AXES:
            axes.append(name)
        elif name in known:
            names.append(name)
        else:
            raise UnknownConcept(name, (*known, *AXES, "top-5"))
    read = known if top or axes else tuple(dict.fromkeys(names))
    return Asked(tuple(dict.fromkeys(names)), top, {name: _weights(name, read) for name in axes}, read)


def _weights(axis: str, read: tuple[str, ...]) -> Float[np.ndarray, " read"]:
    norms = {c.name: getattr(c, axis) for c in emotions() if getattr(c, axis) is not None}
    weights = axis_weights(read, norms)
    if weights is None:
        raise PromptError(f"{axis} needs concepts with human norms; this model's vectors hold too few")
    return weights


def _figures(values: Float[np.ndarray, " words"], places: Sequence[int]) -> dict[str, Any]:
    at = int(np.argmax(values))
    return {
        "mean": round(float(values.mean()), 4),
        "max": round(float(values[at]), 4),
        "max_token": places[at],
        "tokens": len(values),
    }
