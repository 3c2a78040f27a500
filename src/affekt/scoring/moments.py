"""Mean and deviation of z over tokens, and how sure the mean is, with documents as clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from affekt.vectors.moments import ScoreMoments

__all__ = ["Moments"]

NORMAL = 1.96
"""Half width of a 95 % interval, in standard errors."""

FEWEST = 8
"""Under this many documents a mean gets no margin."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mergeable moments of z; changed in place by `add`."""

    tokens: ScoreMoments
    """Over tokens, at one layer."""
    sums: Float[np.ndarray, "4 concepts"]
    """Over documents of n tokens whose z sum up to s: how many they are, and the sums of n², n s and s²."""

    @classmethod
    def empty(cls, concepts: int) -> Moments:
        """No document seen yet."""
        return cls(ScoreMoments.empty(1, concepts), np.zeros((4, concepts)))

    def add(self, z: Float[np.ndarray, "tokens concepts"]) -> None:
        """Counts a document in by its tokens; one without a token does not count."""
        if not len(z):
            return
        self.tokens.add(torch.from_numpy(np.ascontiguousarray(z, dtype=np.float64))[None])
        n, total = float(len(z)), z.sum(axis=0, dtype=np.float64)
        self.sums[:] += np.stack([np.ones_like(total), np.full_like(total, n * n), n * total, total * total])

    def merge(self, other: Moments) -> Moments:
        """The documents of both."""
        return Moments(self.tokens.merge(other.tokens), self.sums + other.sums)

    @property
    def documents(self) -> int:
        """How many documents have a token that counts."""
        return int(self.sums[0, 0]) if self.sums.size else 0

    def mean(self) -> Float[np.ndarray, " concepts"]:
        """Mean z over tokens; NaN without one."""
        values: np.ndarray = self.tokens.mean[0].numpy()
        return values if int(self.tokens.count) else np.full_like(values, np.nan)

    def std(self) -> Float[np.ndarray, " concepts"]:
        """Deviation of z over tokens."""
        values: np.ndarray = self.tokens.std()[0].numpy()
        return values

    def margin(self) -> Float[np.ndarray, " concepts"]:
        """Half width of the mean's 95 % interval; NaN under 8 documents.

        The mean is a ratio of sums over documents, and its error is that of documents drawn anew (Cochran,
        Sampling Techniques, 1977, section 6.3): tokens of one document are not independent.
        """
        documents, n = self.documents, float(self.tokens.count)
        if documents < FEWEST:
            return np.full(self.sums.shape[1], np.nan)
        mean = self.mean()
        _, nn, ns, ss = self.sums
        spread = np.maximum(ss - 2 * mean * ns + mean**2 * nn, 0.0)
        values: np.ndarray = NORMAL * np.sqrt(documents / (documents - 1) * spread) / n
        return values
