"""One labelled text of a corpus, and the checks on the record it is read from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affekt.concepts.source import Source
from affekt.errors import CorpusError, closest

__all__ = ["Text", "plain", "text_of"]

_LABELS = ("topic", "form", "concept")
_BODIES = ("text", "messages")
_ROLES = ("system", "developer", "user", "assistant", "tool")
_MEANT = {"emotion": "concept", "trait": "concept", "label": "concept", "story": "text", "body": "text"}
"""Keys that people write for ours and that look nothing like them."""


@dataclass(frozen=True)
class Text:
    """One text that shows one concept."""

    topic: str
    """What it is about. All concepts share their topics, so that topic cancels in a difference of means."""
    form: str
    """How it is told: `story`, `message`, `dialogue`. Left out in turn to measure a read-out honestly."""
    concept: str
    """The name of the concept it shows."""
    body: Source
    """The text itself, or a chat."""

    @property
    def plain(self) -> str:
        """The words of the body alone."""
        return plain(self.body)

    def record(self) -> dict[str, Any]:
        """The record that `text_of` reads back: topic, form, concept and `text` or `messages`."""
        labels = {"topic": self.topic, "form": self.form, "concept": self.concept}
        if isinstance(self.body, str):
            return labels | {"text": self.body}
        return labels | {"messages": [dict(message) for message in self.body]}


def plain(source: Source) -> str:
    """The words alone: the text, or the contents of the chat's messages with blank lines between."""
    if isinstance(source, str):
        return source
    return "\n\n".join(str(message["content"]) for message in source)


def text_of(record: Mapping[str, Any], where: str) -> Text:
    """Check one record and make it a `Text`; `where` is `file:line`.

    Raises:
        CorpusError: an unknown, missing or wrong key, an empty text, chat or message, an unknown role.
    """
    for key in record:
        if key not in (*_LABELS, *_BODIES):
            hint = f"; did you mean {_MEANT[key]!r}?" if key in _MEANT else closest(key, (*_LABELS, *_BODIES))
            raise CorpusError(f"{where}: unknown key {key!r}{hint or _expected()}")
    topic, form, concept = (_label(record, key, where) for key in _LABELS)
    bodies = [key for key in _BODIES if key in record]
    if len(bodies) != 1:
        found = "both 'text' and 'messages'" if bodies else "neither 'text' nor 'messages'"
        raise CorpusError(f"{where}: found {found}{_expected()}")
    body = _text(record["text"], where) if bodies == ["text"] else _chat(record["messages"], where)
    text = Text(topic, form, concept, body)
    _encodable(text, where)
    return text


def _expected() -> str:
    return "; a record has the keys 'topic', 'form', 'concept' and either 'text' or 'messages'"


def _label(record: Mapping[str, Any], key: str, where: str) -> str:
    if key not in record:
        raise CorpusError(f"{where}: no {key!r}{_expected()}")
    value = record[key]
    if not isinstance(value, str):
        raise CorpusError(f"{where}: {key!r} must be a string, found {type(value).__name__}")
    if not value.strip():
        raise CorpusError(f"{where}: {key!r} is empty")
    if value != value.strip():
        raise CorpusError(f"{where}: {key!r} has spaces around it; did you mean {value.strip()!r}?")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise CorpusError(
            f"{where}: 'text' must be a string, found {type(value).__name__}; a chat goes in 'messages'"
        )
    if not value.strip():
        raise CorpusError(f"{where}: 'text' is empty")
    return value


def _chat(value: object, where: str) -> tuple[dict[str, Any], ...]:
    if not isinstance(value, list) or not value:
        raise CorpusError(f"{where}: 'messages' must be a list of at least one message")
    for number, message in enumerate(value, start=1):
        if not isinstance(message, dict) or not {"role", "content"} <= set(message):
            raise CorpusError(f"{where}: message {number} must be an object with 'role' and 'content'")
        role, content = message["role"], message["content"]
        if role not in _ROLES:
            raise CorpusError(
                f"{where}: message {number} has the unknown role {role!r}{closest(str(role), _ROLES)}"
            )
        if not isinstance(content, str) or not content.strip():
            raise CorpusError(f"{where}: message {number} ({role}) is empty or not a string")
    return tuple(value)


def _encodable(text: Text, where: str) -> None:
    """JSON can spell half a surrogate pair (`\\ud800`), which no tokenizer takes."""
    try:
        json.dumps(text.record(), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise CorpusError(f"{where}: holds half a surrogate pair, which is not text") from error
