"""Dialogues in which each side has its own emotion, and scenes in which one hides behind another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, TypeAlias

from affekt.concepts.jsonl import records
from affekt.concepts.source import Message
from affekt.errors import CorpusError

__all__ = ["Chat", "Deflection", "Dialogues", "Turn", "TwoEmotions", "scenes_in", "two_emotions_in"]

Chat: TypeAlias = tuple[Message, ...]
"""A whole conversation."""


@dataclass(frozen=True)
class TwoEmotions:
    """A dialogue in which each side shows an emotion of its own."""

    topic: str
    """What it is about."""
    user: str
    """The emotion of the person."""
    assistant: str
    """The emotion of the assistant."""
    messages: Chat
    """Turns of both sides."""


@dataclass(frozen=True)
class Turn:
    """One line of a scene."""

    speaker: str
    """The name of who speaks."""
    role: Literal["A", "B"]
    """`A` is the one who hides what they feel."""
    text: str
    """What is said."""


@dataclass(frozen=True)
class Deflection:
    """A scene in which A feels one emotion and shows another."""

    felt: str
    """What A feels."""
    shown: str
    """What A shows."""
    preamble: str
    """The situation, which says what A feels."""
    turns: tuple[Turn, ...]
    """What is said."""


@dataclass(frozen=True)
class Dialogues:
    """Dialogues of the user's own, beside the shipped ones."""

    two_emotions: tuple[TwoEmotions, ...] = ()
    """Each side with an emotion of its own."""
    scenes: tuple[Deflection, ...] = ()
    """One emotion behind another."""

    @classmethod
    def load(cls, folders: Iterable[Path]) -> Dialogues:
        """What `affekt corpus write two_emotions` and `affekt corpus write deflection` made in folders.

        Raises:
            CorpusError: a folder holds neither file, or a record is none of its kind.
        """
        both: tuple[list[TwoEmotions], list[Deflection]] = ([], [])
        for folder in folders:
            files = folder / "two_emotions.jsonl", folder / "deflection.jsonl"
            if not any(file.exists() for file in files):
                raise CorpusError(
                    f"{folder} holds neither two_emotions.jsonl nor deflection.jsonl; "
                    "affekt corpus write makes them"
                )
            both[0].extend(two_emotions_in(files[0]) if files[0].exists() else ())
            both[1].extend(scenes_in(files[1]) if files[1].exists() else ())
        return cls(tuple(both[0]), tuple(both[1]))

    @property
    def digest(self) -> str:
        """A hash of everything in them; empty where there is nothing."""
        if not self.two_emotions and not self.scenes:
            return ""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def two_emotions_in(path: Path | Traversable) -> Iterator[TwoEmotions]:
    """The dialogues of a file.

    Raises:
        CorpusError: a record is no such dialogue; says which line.
    """
    for where, row in records(path):
        topic, user, assistant = _texts(row, ("topic", "user_emotion", "assistant_emotion"), where)
        messages = _list(row, "messages", where)
        for message in messages:
            if message.get("role") not in ("user", "assistant"):
                raise CorpusError(f"{where}: a turn's role is user or assistant, not {message.get('role')!r}")
            _texts(message, ("content",), where)
        if {message["role"] for message in messages} != {"user", "assistant"}:
            raise CorpusError(f"{where}: both sides must speak")
        yield TwoEmotions(topic, user, assistant, tuple(messages))


def scenes_in(path: Path | Traversable) -> Iterator[Deflection]:
    """The scenes of a file.

    Raises:
        CorpusError: a record is no such scene; says which line.
    """
    for where, row in records(path):
        felt, shown, preamble = _texts(row, ("felt", "shown", "preamble"), where)
        turns = []
        for turn in _list(row, "turns", where):
            speaker, role, text = _texts(turn, ("speaker", "role", "text"), where)
            if role not in ("A", "B"):
                raise CorpusError(f"{where}: a turn's role is A or B, not {role!r}")
            turns.append(Turn(speaker, role, text))  # type: ignore[arg-type]
        if not any(turn.role == "A" for turn in turns):
            raise CorpusError(f"{where}: A, who hides what they feel, must speak")
        yield Deflection(felt, shown, preamble, tuple(turns))


def _texts(row: Mapping[str, Any], keys: Sequence[str], where: str) -> list[str]:
    for key in keys:
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise CorpusError(f"{where}: needs {key!r}, a text that is not empty")
    return [row[key] for key in keys]


def _list(row: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    value = row.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        raise CorpusError(f"{where}: needs {key!r}, a list of objects that is not empty")
    return value
