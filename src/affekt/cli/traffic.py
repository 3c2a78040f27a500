"""Dialogues from a log, JSON Lines: what monitors are calibrated on and checked against."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affekt.concepts.jsonl import records
from affekt.concepts.source import Source
from affekt.errors import CorpusError, PromptError, closest

if TYPE_CHECKING:
    from affekt.models import Model

__all__ = ["Traffic", "read_traffic", "shipped_traffic"]

BODIES = ("messages", "text")
"""The keys of a record of which one is read; a log's other keys are left alone."""


@dataclass(frozen=True)
class Traffic:
    """Dialogues, each with the place that an error about it names."""

    sources: tuple[Source, ...]
    """Chats and texts."""
    places: tuple[str, ...]
    """`file:line` of each."""

    def fit(self, model: Model) -> None:
        """Has every prompt encoded once, so that what the model cannot take is found before hours of work.

        Raises:
            PromptError: a prompt that is too long, or that the chat template refuses, with its place.
        """
        from affekt.guards.recording import prompts
        from affekt.models.prompt import encode

        for place, turns in zip(self.places, prompts(self.sources), strict=True):
            for turn in turns:
                try:
                    prompt = encode(model.tokenizer, turn, generation_prompt=True, context=model.context)
                except PromptError as error:
                    raise PromptError(f"{place}: {error}") from error
                if model.context is not None and len(prompt) >= model.context:
                    raise PromptError(f"{place}: its {len(prompt):,} tokens leave no room for a reply")

    def key(self, *settings: object) -> str:
        """A short hash of the dialogues and of settings, for the name of an unfinished run's file."""
        return hashlib.sha256(repr((self.sources, settings)).encode()).hexdigest()[:8]


def shipped_traffic() -> Traffic:
    """The neutral dialogues that come with Affekt."""
    from affekt.concepts.shipped import neutral

    sources = neutral()
    return Traffic(sources, tuple(f"neutral dialogue {number}" for number in range(1, len(sources) + 1)))


def read_traffic(path: Path) -> Traffic:
    """Reads a log.

    Raises:
        CorpusError: naming file and line: no JSON object, neither `messages` nor `text`, a message without
            role or content, a chat without a turn of a user; or a file without a dialogue.
    """
    sources: list[Source] = []
    places: list[str] = []
    for place, record in records(path):
        sources.append(_source(record, place))
        places.append(place)
    if not sources:
        raise CorpusError(f"{path}: no dialogue in it; expected a JSON object with 'messages' on each line")
    return Traffic(tuple(sources), tuple(places))


def _source(record: Mapping[str, Any], place: str) -> Source:
    found = [key for key in BODIES if key in record]
    if len(found) != 1:
        near = next((hint for key in record if (hint := closest(key, BODIES))), "")
        what = "both 'messages' and 'text'" if found else f"neither 'messages' nor 'text'{near}"
        raise CorpusError(f"{place}: found {what}; a line has one of them")
    body = record[found[0]]
    if found == ["text"]:
        if not isinstance(body, str) or not body.strip():
            raise CorpusError(f"{place}: 'text' must be a text that is not empty")
        return body
    return _chat(body, place)


def _chat(body: object, place: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(body, list) or not body:
        raise CorpusError(f"{place}: 'messages' must be a list of at least one message")
    for number, message in enumerate(body, start=1):
        fields = message if isinstance(message, dict) else {}
        for key in ("role", "content"):
            if not isinstance(fields.get(key), str):
                raise CorpusError(f"{place}: message {number} has no {key!r} that is text")
    if not any(message["role"] == "user" for message in body):
        raise CorpusError(f"{place}: no turn of a user, so there is nothing to reply to")
    return tuple(body)
