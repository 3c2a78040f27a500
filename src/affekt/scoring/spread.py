"""How z spreads over tokens: counts in narrow bins of one width, for percentiles that merge exactly.

A z-score has a known unit, so the bins can be fixed beforehand. Counts then add up to the same whatever the
order and the number of workers, which quantile sketches that draw lots (KLL) or that depend on the order of
merging (t-digest) do not promise; and the error is bounded in z and not in rank, which is what the far
percentiles need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

__all__ = ["WIDTH", "Spread"]

WIDTH = 1 / 64
"""Width of a bin, and the most that a percentile is off by, in z."""

EDGE = 64
"""Where bins end: beyond this |z| only the count and the extreme are kept."""

BINS = int(2 * EDGE / WIDTH)


@dataclass(frozen=True, eq=False)
class Spread:
    """Counts of z by concept and bin; changed in place by `add`."""

    counts: Int[np.ndarray, "concepts bins"]
    """Tokens in each bin; the outermost hold all that lies beyond."""
    low: Float[np.ndarray, " concepts"]
    """The least z, exactly; infinity where there is no token."""
    high: Float[np.ndarray, " concepts"]
    """The greatest z, exactly; minus infinity where there is no token."""

    @classmethod
    def empty(cls, concepts: int) -> Spread:
        """No token seen yet."""
        return cls(
            np.zeros((concepts, BINS), dtype=np.int64), np.full(concepts, np.inf), np.full(concepts, -np.inf)
        )

    @property
    def tokens(self) -> int:
        """How many tokens are counted."""
        return int(self.counts[0].sum()) if len(self.counts) else 0

    def add(self, z: Float[np.ndarray, "tokens concepts"]) -> None:
        """Counts tokens in."""
        if not len(z):
            return
        bins = np.clip(np.floor((z + EDGE) / WIDTH), 0, BINS - 1).astype(np.int64)
        flat = bins + np.arange(z.shape[1]) * BINS
        np.add.at(self.counts.reshape(-1), flat.ravel(), 1)
        np.minimum(self.low, z.min(axis=0), out=self.low)
        np.maximum(self.high, z.max(axis=0), out=self.high)

    def merge(self, other: Spread) -> Spread:
        """The tokens of both."""
        return Spread(
            self.counts + other.counts, np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        )

    def percentiles(self, wanted: Sequence[float | int]) -> Float[np.ndarray, "wanted concepts"]:
        """The z below which so many percent of the tokens lie, as numpy has it by default; NaN without a
        token.

        At most `WIDTH` off where it lies within `EDGE`; the least and the greatest are exact.
        """
        found = np.full((len(wanted), len(self.counts)), np.nan)
        if not self.tokens:
            return found
        last = self.tokens - 1
        for concept in range(len(self.counts)):
            reached = np.cumsum(self.counts[concept])
            for place, q in enumerate(wanted):
                rank = q / 100 * last
                below, above = (self._ordered(concept, reached, int(at)) for at in (rank, np.ceil(rank)))
                found[place, concept] = below + (above - below) * (rank - int(rank))
        return found

    def _ordered(self, concept: int, reached: Int[np.ndarray, " bins"], rank: int) -> float:
        """The z of a rank, from 0; within a bin the tokens are taken as spread evenly."""
        low, high = float(self.low[concept]), float(self.high[concept])
        if rank == 0 or rank == reached[-1] - 1:
            return high if rank else low
        at = int(np.searchsorted(reached, rank, side="right"))
        count = int(self.counts[concept, at])
        left = low if at == 0 else at * WIDTH - EDGE
        right = high if at == BINS - 1 else (at + 1) * WIDTH - EDGE
        value = left + (right - left) * (rank - (int(reached[at]) - count) + 0.5) / count
        return min(max(value, low), high)
