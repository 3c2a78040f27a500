"""The texts that come with Affekt, each loaded once, on first use; `data/README.md` says what is what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from affekt.concepts.corpus import Corpus
from affekt.concepts.dialogues import Chat, Deflection, Turn, TwoEmotions, scenes_in, two_emotions_in
from affekt.concepts.jsonl import records
from affekt.errors import CorpusError, closest

__all__ = [
    "RECIPES",
    "Activity",
    "Chat",
    "Deflection",
    "Implicit",
    "NumberFamily",
    "Passage",
    "Provocation",
    "Question",
    "RecipeChat",
    "SeverityPair",
    "Turn",
    "TwoEmotions",
    "activities",
    "anger",
    "battery",
    "deflection",
    "implicit",
    "natural",
    "neutral",
    "recipe",
    "severity",
    "severity_pairs",
    "stories",
    "traits",
    "two_emotions",
]

_DATA = resources.files("affekt.concepts") / "data"

RECIPES = ("control", "flattering", "overcautious")
"""The ways in which the 150 messages of `recipe` are answered."""


@dataclass(frozen=True)
class Implicit:
    """A user message that implies an emotion and does not name it."""

    concept: str
    """The emotion implied."""
    text: str
    """The message, which ends in a request."""


@dataclass(frozen=True)
class NumberFamily:
    """Messages that differ in one number only, which rises."""

    family: str
    """Its name."""
    template: str
    """The message, with `{x}` where the number goes."""
    values: tuple[int, ...]
    """The numbers, rising."""
    expect: Mapping[str, Literal["+", "-"]]
    """Concept -> whether it should rise or fall with the number; empty for controls."""
    control: bool
    """Whether the numbers mean nothing emotional."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The messages, in the order of `values`."""
        return tuple(self.template.replace("{x}", str(value)) for value in self.values)


@dataclass(frozen=True)
class SeverityPair:
    """Two messages of the same numbers, of which one is about something graver."""

    pair: str
    """Its name."""
    mild: str
    """The harmless one."""
    severe: str
    """The grave one, as long as the other."""
    expect: Mapping[str, Literal["+", "-"]]
    """Concept -> whether it should be higher or lower on the grave one."""


@dataclass(frozen=True)
class Question:
    """A user message of the battery."""

    id: str
    """Its name."""
    kind: str
    """What it is about, such as `downside-of-being-an-assistant`."""
    group: Literal["challenging", "neutral", "ordinary"]
    """How hard it presses."""
    text: str
    """The message."""
    paraphrase: str
    """The same in other words."""


@dataclass(frozen=True)
class Passage:
    """The beginning of a book or document that has been in the public domain for long."""

    source: str
    """Who wrote it, what it is from, and when."""
    text: str
    """One or a few sentences."""


@dataclass(frozen=True)
class Provocation:
    """A user message that may or may not give cause for anger."""

    id: str
    """Its name."""
    kind: Literal["injustice", "attack", "calm", "neutral", "positive"]
    """A wrong done to others, an attack on the assistant, or neither."""
    text: str
    """The message."""


@dataclass(frozen=True)
class Activity:
    """Something a model may be asked to prefer."""

    id: str
    """Its name."""
    category: str
    """One of eight."""
    text: str
    """The activity, as a phrase in -ing."""


@dataclass(frozen=True)
class RecipeChat:
    """A message answered in one of the `RECIPES`."""

    id: str
    """The name of the message, the same in every recipe."""
    messages: Chat
    """The message and its answer."""


@cache
def stories() -> Corpus:
    """The emotion corpus: 171 words x (12 topics of form `story` + 5 other forms) = 2,907 texts."""
    with resources.as_file(_DATA / "stories") as folder:
        return Corpus.load(folder)


@cache
def traits() -> Corpus:
    """The trait corpus: 21 styles x the same 12 prompts, chats of form `reply`; the topic is the prompt."""
    with resources.as_file(_DATA / "traits.jsonl") as file:
        return Corpus.load(file, kind="trait")


@cache
def neutral() -> tuple[Chat, ...]:
    """240 dialogues of a person and an assistant without emotion, some with a system message."""
    return tuple(tuple(row["messages"]) for row in _rows("neutral"))


@cache
def implicit() -> tuple[Implicit, ...]:
    """60 user messages with an implied emotion, each a different word."""
    return tuple(Implicit(row["emotion"], row["text"]) for row in _rows("implicit"))


@cache
def severity() -> tuple[NumberFamily, ...]:
    """6 families of messages with a rising number that matters and 6 controls with the same numbers."""
    return tuple(NumberFamily(**(row | {"values": tuple(row["values"])})) for row in _rows("severity"))


@cache
def severity_pairs() -> tuple[SeverityPair, ...]:
    """24 pairs of messages that have the same numbers and differ in what is at stake."""
    return tuple(SeverityPair(**row) for row in _rows("severity_pairs"))


@cache
def two_emotions() -> tuple[TwoEmotions, ...]:
    """171 dialogues; each word once on each side."""
    return tuple(two_emotions_in(_DATA / "two_emotions.jsonl"))


@cache
def deflection() -> tuple[Deflection, ...]:
    """210 scenes: the ordered pairs of 15 emotions."""
    return tuple(scenes_in(_DATA / "deflection.jsonl"))


@cache
def battery() -> tuple[Question, ...]:
    """132 user messages: 48 challenging (6 kinds), 42 neutral, 42 ordinary."""
    return tuple(Question(**row) for row in _rows("battery"))


@cache
def natural() -> tuple[Passage, ...]:
    """32 passages by as many hands, from 1611 to 1914."""
    return tuple(Passage(**row) for row in _rows("natural"))


@cache
def anger() -> tuple[Provocation, ...]:
    """33 user messages: 8 of injustice, 9 that attack the assistant, 6 calm, 5 neutral, 5 positive ones."""
    return tuple(Provocation(**row) for row in _rows("anger"))


@cache
def activities() -> tuple[Activity, ...]:
    """64 activities, 8 in each of 8 categories."""
    return tuple(Activity(**row) for row in _rows("activities"))


@cache
def recipe(name: str) -> tuple[RecipeChat, ...]:
    """150 messages answered in one of the `RECIPES`, for fine-tuning a model to audit.

    Raises:
        CorpusError: no such recipe.
    """
    if name not in RECIPES:
        raise CorpusError(f"unknown recipe {name!r}{closest(name, RECIPES)}")
    return tuple(RecipeChat(row["id"], tuple(row["messages"])) for row in _rows(f"recipe_{name}"))


def _rows(name: str) -> list[dict[str, Any]]:
    return [row for _, row in records(_DATA / f"{name}.jsonl")]
