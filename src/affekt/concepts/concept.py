"""A concept: a word, its kind, its cluster and its human norms."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

__all__ = ["Concept", "Kind", "concepts_of", "emotions", "known", "styles"]

Kind = Literal["emotion", "trait"]


@dataclass(frozen=True)
class Concept:
    """One word that a model may carry a direction for."""

    name: str
    """The word itself, as written in the list: `grief-stricken`, `at ease`. It is the key everywhere."""
    kind: Kind = "emotion"
    """`emotion`, or `trait` for styles of reply such as `sarcastic`."""
    cluster: str | None = None
    """The paper's cluster (section 5.1), for the 171 emotion words."""
    valence: float | None = None
    """Human pleasure, -1 to 1 (Russell & Mehrabian 1977); 45 of the 171 words have it."""
    arousal: float | None = None
    """Human arousal, -1 to 1 (same source)."""


@cache
def emotions() -> tuple[Concept, ...]:
    """The 171 emotion words in the paper's order (section 1.1), with clusters and norms."""
    table = resources.files("affekt.concepts") / "data" / "emotions.csv"
    return tuple(
        Concept(
            name=row["emotion"],
            cluster=row["cluster"],
            valence=float(row["valence"]) if row["valence"] else None,
            arousal=float(row["arousal"]) if row["arousal"] else None,
        )
        for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    )


@cache
def styles() -> tuple[Concept, ...]:
    """The 21 styles of reply that the trait corpus shows (kind `trait`)."""
    table = resources.files("affekt.concepts") / "data" / "traits.txt"
    return tuple(Concept(name, kind="trait") for name in table.read_text(encoding="utf-8").splitlines())


def known(kind: Kind) -> tuple[Concept, ...]:
    """The concepts that Affekt ships texts for: `emotions()` or `styles()`."""
    return emotions() if kind == "emotion" else styles()


def concepts_of(names: Iterable[str], kind: Kind) -> tuple[Concept, ...]:
    """A concept for each different name: known ones in their list's order, then new ones by the alphabet."""
    wanted = set(names)
    listed = tuple(concept for concept in known(kind) if concept.name in wanted)
    new = sorted(wanted - {concept.name for concept in listed})
    return listed + tuple(Concept(name, kind) for name in new)
