"""What is kept of the readings of any number of documents: all of it merges."""

from __future__ import annotations

from dataclasses import dataclass, replace

from affekt.reading.reading import Reading
from affekt.scoring.moments import Moments
from affekt.scoring.spread import Spread
from affekt.scoring.strongest import KEPT, Strongest

__all__ = ["Tally"]


@dataclass(frozen=True)
class Tally:
    """Percentiles, moments and strongest passages."""

    spread: Spread
    """Of z over tokens."""
    moments: Moments
    """Of z over tokens, with documents as clusters."""
    strongest: Strongest
    """The strongest passages."""

    @classmethod
    def empty(cls, concepts: int, kept: int = KEPT) -> Tally:
        """Nothing seen yet."""
        return cls(Spread.empty(concepts), Moments.empty(concepts), Strongest.empty(concepts, kept))

    def add(self, reading: Reading, ordinal: int, id: str) -> Tally:
        """With one more document, over its words without the first token (`Reading.content`); what was before
        is changed too and not to be used again."""
        rows = reading.content_rows()
        z = reading.z[rows]
        self.spread.add(z)
        self.moments.add(z)
        return replace(self, strongest=self.strongest.add(reading, rows, ordinal, id))

    def merge(self, other: Tally) -> Tally:
        """The documents of both, which are different ones."""
        return Tally(
            self.spread.merge(other.spread),
            self.moments.merge(other.moments),
            self.strongest.merge(other.strongest),
        )
