"""One number a concept over the tokens of a reading, with what it rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from affekt.errors import UnknownConcept

__all__ = ["FEWEST", "Summary", "margin_of_mean", "strongest"]

FEWEST = 8
"""Under this many tokens a mean gets no margin: the estimate of its error would be an invention."""


@dataclass(frozen=True, eq=False)
class Summary:
    """A mean or a peak of z over some tokens."""

    concepts: tuple[str, ...]
    """The concepts, in the reading's order."""
    z: Float[np.ndarray, " concepts"]
    """The value of each concept, in standard deviations of the neutral reference."""
    n: int
    """How many tokens the values rest on."""
    margin: Float[np.ndarray, " concepts"] | None = None
    """Half width of the mean's 95 % interval; None for a peak, or under `FEWEST` tokens."""
    tokens: tuple[int, ...] | None = None
    """For a peak: per concept, the index of its token in the reading; None for a mean."""

    def of(self, name: str) -> float:
        """The value of one concept; raises UnknownConcept."""
        if name not in self.concepts:
            raise UnknownConcept(name, self.concepts)
        return float(self.z[self.concepts.index(name)])

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The `k` concepts of the highest z, the highest first."""
        return strongest(self.concepts, self.z, k)


def strongest(
    concepts: tuple[str, ...], z: Float[np.ndarray, " concepts"], k: int
) -> list[tuple[str, float]]:
    """The `k` concepts of the highest z, the highest first; equal ones in their given order."""
    order = np.argsort(-z, kind="stable")[: max(k, 0)]
    return [(concepts[i], float(z[i])) for i in order]


def margin_of_mean(z: Float[np.ndarray, "tokens concepts"]) -> Float[np.ndarray, " concepts"]:
    """Half width of the 95 % interval of the mean over tokens.

    Neighbouring tokens are alike, so the error is not s / sqrt(n): covariances up to a lag of n^(1/3) count
    too, with Bartlett's weights (Newey & West 1987).
    """
    n = len(z)
    rest = z - z.mean(axis=0)
    reach = round(n ** (1 / 3))
    variance = (rest * rest).mean(axis=0)
    for lag in range(1, reach + 1):
        shared = (rest[lag:] * rest[:-lag]).sum(axis=0) / n
        variance = variance + 2 * (1 - lag / (reach + 1)) * shared
    margin: Float[np.ndarray, " concepts"] = 1.96 * np.sqrt(np.maximum(variance, 0) / (n - 1))
    return margin
