"""Dialogues that a user has written, in the shapes of the shipped ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from affekt.concepts.corpus import files_of
from affekt.concepts.jsonl import records
from affekt.concepts.shipped import Chat, Deflection, Turn, TwoEmotions
from affekt.concepts.writing.kinds import KINDS, Draft, Kind, Misshapen
from affekt.errors import CorpusError

__all__ = ["deflection_in", "drafts", "kind_in", "neutral_in", "two_emotions_in"]

_LABELS = {
    "stories": ("topic", "form", "concept"),
    "two_emotions": ("topic", "user_emotion", "assistant_emotion"),
    "deflection": ("felt", "shown"),
    "neutral": ("topic",),
}
"""The labels of each kind, those with most first."""


def kind_in(path: Path) -> Kind:
    """The kind of the texts in a file or folder, told by the labels of its first record.

    Raises:
        CorpusError: nothing there, or a record of no kind.
    """
    for file in files_of([path]):
        for where, record in records(file):
            for name, labels in _LABELS.items():
                if set(labels) <= set(record):
                    return KINDS[name]
            known = "; ".join(f"{name}: {', '.join(labels)}" for name, labels in _LABELS.items())
            raise CorpusError(f"{where}: the keys {', '.join(record)} are of no kind of text ({known})")
    raise CorpusError(f"{path}: no texts")


def drafts(path: Path, kind: Kind) -> Iterator[Draft]:
    """Every record of a file or folder, checked for its shape.

    Raises:
        CorpusError: a record of another shape; names file and line.
    """
    for file in files_of([path]):
        for where, record in records(file):
            for label in _LABELS[kind.name]:
                if not isinstance(record.get(label), str) or not record[label].strip():
                    raise CorpusError(f"{where}: no {label!r}, or it is no text")
            try:
                yield kind.take(record, {"topic": "", **{k: str(v) for k, v in record.items()}})
            except Misshapen as error:
                raise CorpusError(f"{where}: {error}") from error


def neutral_in(path: Path) -> tuple[Chat, ...]:
    """Neutral dialogues."""
    return tuple(tuple(row["messages"]) for row in _records(path, "neutral"))


def two_emotions_in(path: Path) -> tuple[TwoEmotions, ...]:
    """Dialogues in which each side shows an emotion of its own."""
    return tuple(
        TwoEmotions(row["topic"], row["user_emotion"], row["assistant_emotion"], tuple(row["messages"]))
        for row in _records(path, "two_emotions")
    )


def deflection_in(path: Path) -> tuple[Deflection, ...]:
    """Scenes in which one emotion is hidden behind another."""
    return tuple(
        Deflection(row["felt"], row["shown"], row["preamble"], tuple(Turn(**turn) for turn in row["turns"]))
        for row in _records(path, "deflection")
    )


def _records(path: Path, kind: str) -> Iterator[dict[str, Any]]:
    return (draft.record for draft in drafts(path, KINDS[kind]))
