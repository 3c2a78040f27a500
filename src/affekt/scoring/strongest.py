"""The passages at which each concept is strongest: the best of any number of documents, mergeable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from affekt.reading.reading import Reading

__all__ = ["KEPT", "Passage", "Strongest"]

KEPT = 10
"""Passages kept for each concept."""

AROUND = 60
"""Characters shown on both sides of the strongest token."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Where a concept is strongest in a document."""

    z: float
    """How strong, at the token."""
    ordinal: int
    """The document's place in the corpus."""
    id: str
    """The document's id."""
    token: int
    """The token's place in the document."""
    before: str
    """What stands before it, at most `AROUND` characters."""
    word: str
    """The token as written."""
    after: str
    """What stands behind it."""

    @property
    def text(self) -> str:
        """The passage in one."""
        return self.before + self.word + self.after


@dataclass(frozen=True)
class Strongest:
    """The `kept` strongest passages of each concept, one a document, the strongest first.

    Equal ones stand in the order of the corpus, so that the result depends on no order of merging."""

    best: tuple[tuple[Passage, ...], ...]
    """By concept."""
    kept: int = KEPT
    """Most passages of a concept."""

    @classmethod
    def empty(cls, concepts: int, kept: int = KEPT) -> Strongest:
        """No document seen yet."""
        return cls(((),) * concepts, kept)

    def add(self, reading: Reading, counted: Sequence[int], ordinal: int, id: str) -> Strongest:
        """With the passages of one more document, over the tokens that count."""
        if not counted:
            return self
        z = reading.z[list(counted)]
        best = list(self.best)
        for column, row in enumerate(z.argmax(axis=0).tolist()):
            own, most = best[column], float(z[row, column])
            if len(own) < self.kept or most >= own[-1].z:
                best[column] = _best((*own, _passage(reading, counted[row], most, ordinal, id)), self.kept)
        return Strongest(tuple(best), self.kept)

    def merge(self, other: Strongest) -> Strongest:
        """The strongest of both, which hold different documents."""
        return Strongest(
            tuple(_best((*one, *two), self.kept) for one, two in zip(self.best, other.best, strict=True)),
            self.kept,
        )


def _best(passages: Iterable[Passage], kept: int) -> tuple[Passage, ...]:
    return tuple(sorted(passages, key=lambda one: (-one.z, one.ordinal))[:kept])


def _passage(reading: Reading, token: int, z: float, ordinal: int, id: str) -> Passage:
    (start, end), text = reading.spans[token], reading.text
    before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
    return Passage(z, ordinal, id, token, before, text[start:end], after)
