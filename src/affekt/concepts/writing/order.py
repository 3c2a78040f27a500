"""What is to be written: cells, each with a number of texts."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from affekt.concepts.jsonl import records
from affekt.errors import CorpusError

__all__ = [
    "HIDDEN",
    "Cell",
    "Order",
    "Premise",
    "by_concept",
    "by_pair",
    "by_topic",
    "cell_key",
    "one_each",
    "premises_of",
]

Cell: TypeAlias = Mapping[str, str]
"""The labels of the texts of one cell, `topic` among them."""

HIDDEN = (
    "angry desperate sad afraid frustrated tired happy calm guilty nervous proud loving surprised inspired "
    "jealous"
).split()
"""The 15 emotions that the scenes of hidden feelings are about (paper 6.4, which prints seven of its own)."""


@dataclass(frozen=True)
class Premise:
    """A topic and the sentence that a text starts from."""

    topic: str
    """Its label in the corpus."""
    text: str
    """What the writer is told."""


@dataclass(frozen=True)
class Order:
    """Everything that is wanted."""

    cells: tuple[Cell, ...]
    """Topic by topic, so that a run that is stopped has whole topics and topic still cancels."""
    premises: Mapping[str, str]
    """Topic -> premise."""
    texts: int = 1
    """Texts wanted of each cell."""
    a_call: int = 1
    """Most texts asked for in one call."""
    tries: int = 3
    """Calls for one cell, beyond those that its size needs, before it is left short."""
    template: str = ""
    """The prompt, with `{n}`, `{premise}`, `{names}` and the labels in braces."""

    @property
    def wanted(self) -> int:
        """Texts in all."""
        return len(self.cells) * self.texts

    @property
    def calls(self) -> int:
        """Calls that one cell may take."""
        return -(-self.texts // self.a_call) + self.tries - 1


def cell_key(cell: Cell) -> str:
    """The cell's name in the ledger."""
    return "|".join(f"{key}={cell[key]}" for key in sorted(cell))


def premises_of(source: Path | None, shipped: Path, first: int | None = None) -> tuple[Premise, ...]:
    """Premises from a file of the user's, one a line or JSON Lines with `topic` and `text`, or the shipped.

    Raises:
        CorpusError: no such file, nothing in it, or a topic twice.
    """
    if source is not None and source.suffix != ".jsonl":
        try:
            lines = source.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CorpusError(f"{source}: cannot be read ({error})") from error
        found = [Premise(_slug(line), line.strip()) for line in lines if line.strip()]
    else:
        found = []
        for where, row in records(source or shipped):
            if not all(isinstance(row.get(key), str) and row[key].strip() for key in ("topic", "text")):
                raise CorpusError(f"{where}: a topic has the keys 'topic' and 'text'")
            found.append(Premise(row["topic"].strip(), row["text"].strip()))
    topics = [one.topic for one in found]
    if not found:
        raise CorpusError(f"{source}: no topics")
    for topic in topics:
        if topics.count(topic) > 1:
            raise CorpusError(f"{source}: the topic {topic!r} stands twice")
    return tuple(found[:first])


def by_topic(premises: Sequence[Premise], _concepts: Sequence[str], _seed: int) -> Iterator[Cell]:
    """A cell a topic."""
    return ({"topic": one.topic} for one in premises)


def by_concept(premises: Sequence[Premise], concepts: Sequence[str], _seed: int) -> Iterator[Cell]:
    """A cell for each concept in each topic."""
    for one in premises:
        for concept in concepts:
            yield {"topic": one.topic, "concept": concept}


def one_each(premises: Sequence[Premise], concepts: Sequence[str], seed: int) -> Iterator[Cell]:
    """For each topic every concept once on each side, paired at random and never with itself."""
    for one in premises:
        rng = random.Random(f"{seed} {one.topic}")
        drawn = list(concepts)
        rng.shuffle(drawn)
        for user, assistant in zip(drawn, (*drawn[1:], *drawn[:1]), strict=True):
            if user != assistant:
                yield {"topic": one.topic, "user_emotion": user, "assistant_emotion": assistant}


def by_pair(premises: Sequence[Premise], concepts: Sequence[str], seed: int) -> Iterator[Cell]:
    """For each topic all ordered pairs of different concepts."""
    for one in premises:
        pairs = list(itertools.permutations(concepts, 2))
        random.Random(f"{seed} {one.topic}").shuffle(pairs)
        for felt, shown in pairs:
            yield {"topic": one.topic, "felt": felt, "shown": shown}


def _slug(line: str) -> str:
    words = "".join(sign if sign.isalnum() else " " for sign in line.casefold()).split()
    return "-".join(words[:8]) or "topic"
