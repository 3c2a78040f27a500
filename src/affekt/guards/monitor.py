"""A monitor: which reading is watched, at which tokens, and from which value on it is too much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from affekt.concepts.concept import emotions
from affekt.errors import PolicyError, UnknownConcept

__all__ = ["AXES", "Direction", "Meter", "Monitor", "Position"]

Position = Literal["prompt_end", "reply", "reply_mean", "window"]
"""Where a monitor has values: once, at the prompt's last token; at each token of the reply, as read there; as
the mean of the reply so far; or as the mean of its last `window` tokens (fewer at its start)."""

Direction = Literal["above", "below"]

AXES = ("valence", "arousal")
"""What can be watched beside concepts: means of z weighted by human norms."""

FEWEST = 10
"""Fewest concepts with human norms that an axis is made of, as for a reading's."""


@dataclass(frozen=True)
class Monitor:
    """One number per token, made of readings, and the threshold that it should stay under (or over)."""

    name: str
    """What events and calibrations call it."""
    what: str | Mapping[str, float | int]
    """A concept, an axis (`valence`, `arousal`), or concepts with weights, whose z are summed."""
    position: Position = "reply"
    """At which tokens it has a value."""
    threshold: float | int | None = None
    """The last value that is still allowed, in z; None until it is taken from a calibration."""
    direction: Direction = "above"
    """Which side of the threshold is too much."""
    window: int | None = None
    """How many tokens a `window` spans."""

    def __post_init__(self) -> None:
        at = f"monitor {self.name!r}"
        if not self.name:
            raise PolicyError("a monitor without a name")
        if not self.what:
            raise PolicyError(f"{at}: nothing to watch; name a concept, {' or '.join(AXES)}")
        if not isinstance(self.what, str):
            for name, weight in self.what.items():
                if not math.isfinite(weight) or weight == 0:
                    raise PolicyError(f"{at}: the weight of {name!r} is {weight}; give a number but 0")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise PolicyError(f"{at}: the threshold is {self.threshold}; give a finite z")
        window = 1 if self.window is None else self.window
        if (self.window is None) == (self.position == "window") or window < 1:
            raise PolicyError(f"{at}: 'window', a number of tokens from 1 on, goes with position 'window'")

    @property
    def sign(self) -> int:
        """1 where high values are too much, -1 where low ones are."""
        return 1 if self.direction == "above" else -1

    def excess(self, value: float) -> float:
        """How far a value is beyond the threshold, in z; a reading that is no number counts as far beyond."""
        if self.threshold is None:
            raise PolicyError(f"monitor {self.name!r} has no threshold yet; calibrate it or state one")
        return self.sign * (value - self.threshold) if math.isfinite(value) else math.inf

    def trips(self, value: float) -> bool:
        """Whether a value is beyond the threshold; at the threshold it is not."""
        return self.excess(value) > 0

    def at(self, threshold: float) -> Monitor:
        """The same with a threshold."""
        return replace(self, threshold=threshold)

    def same_values(self, other: Monitor) -> bool:
        """Whether both have the same values everywhere, whatever their names and thresholds."""
        return self.reading_key() == other.reading_key()

    def reading_key(self) -> tuple[Any, ...]:
        """What its values depend on."""
        what = self.what if isinstance(self.what, str) else tuple(sorted(self.what.items()))
        return what, self.position, self.window

    def weights(self, concepts: Sequence[str]) -> dict[str, float]:
        """The weight of each concept whose z it sums.

        Raises:
            UnknownConcept: for a concept that is not among `concepts`.
            PolicyError: for an axis without a rated concept among them.
        """
        if isinstance(self.what, str) and self.what in AXES and self.what not in concepts:
            return _axis(self.what, concepts)
        sums = {self.what: 1} if isinstance(self.what, str) else self.what
        chosen = {name: float(weight) for name, weight in sums.items()}
        for name in chosen:
            if name not in concepts:
                raise UnknownConcept(name, (*concepts, *AXES))
        return chosen

    def values(
        self, z: Float[np.ndarray, "tokens columns"], concepts: Sequence[str]
    ) -> Float[np.ndarray, " tokens"]:
        """Its value at each token: of a reply's in order or, at `prompt_end`, of the prompt's last one.

        Args:
            z: readings.
            concepts: the names of their columns.
        """
        meter = self.meter(concepts)
        return np.array([meter.add(row) for row in z], dtype=np.float64)

    def score(self, z: Float[np.ndarray, "tokens columns"], concepts: Sequence[str]) -> float:
        """The highest value (for `below`: minus the lowest); it trips if this is over `sign * threshold`.

        Of no tokens it is minus infinity: nothing trips.
        """
        return max((self.sign * float(value) for value in self.values(z, concepts)), default=-math.inf)

    def meter(self, concepts: Sequence[str]) -> Meter:
        """Measures one reply, token by token, from readings with these columns."""
        weights = self.weights(concepts)
        columns = np.array([concepts.index(name) for name in weights])
        span = {"reply_mean": None, "window": self.window}.get(self.position, 1)
        return Meter(columns, np.array(list(weights.values())), span)


class Meter:
    """A monitor's value at each token of one reply as it comes; a token costs one short product.

    Sums are kept for every token, so that the latest ones can be taken back.
    """

    def __init__(self, columns: np.ndarray, weights: Float[np.ndarray, " weights"], span: int | None) -> None:
        self._columns, self._weights, self._span = columns, weights, span
        self._sums = [0.0]

    def add(self, z: Float[np.ndarray, " columns"]) -> float:
        """The value at the next token, whose readings are `z`."""
        raw = float(z[self._columns] @ self._weights)
        if self._span == 1:
            self._sums.append(0.0)
            return raw
        self._sums.append(self._sums[-1] + raw)
        end = len(self._sums) - 1
        start = 0 if self._span is None else max(0, end - self._span)
        return (self._sums[end] - self._sums[start]) / (end - start)

    def drop(self, tokens: int) -> None:
        """Forgets the latest tokens."""
        del self._sums[max(1, len(self._sums) - tokens) :]


def _axis(name: str, concepts: Sequence[str]) -> dict[str, float]:
    """Ratings less their mean, absolute weights adding up to 1, as `affekt.reading.axes` weighs them."""
    norms = {concept.name: getattr(concept, name) for concept in emotions() if concept.name in concepts}
    rated = {concept: rating for concept, rating in norms.items() if rating is not None}
    middle = sum(rated.values()) / len(rated) if rated else 0.0
    size = sum(abs(rating - middle) for rating in rated.values())
    if len(rated) < FEWEST or not size:
        raise PolicyError(
            f"{name} needs at least {FEWEST} concepts with different human norms; the vectors have "
            f"{len(rated)}"
        )
    return {concept: (rating - middle) / size for concept, rating in rated.items()}
