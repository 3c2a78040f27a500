"""A document of a corpus: from a record of a file, checked, with an id and a source for an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affekt.concepts.source import Source
from affekt.errors import CorpusError, closest
from affekt.scoring.files import File, Row

__all__ = ["Columns", "Document", "document"]


@dataclass(frozen=True)
class Columns:
    """Where in a record a document is."""

    text: str = "text"
    """Column of the text, or of a chat: a list of messages with `role` and `content`."""
    id: str | None = None
    """Column of the ids; None takes file and row."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns to read."""
        return (self.text,) if self.id is None else (self.text, self.id)


@dataclass(frozen=True)
class Document:
    """One document."""

    ordinal: int
    """Its place in the corpus, from 0."""
    id: str
    """Its own, or its file and row."""
    file: str
    """Name of its file."""
    row: int
    """Its row or line in the file, from 0."""
    source: Source
    """A text or a chat."""

    @property
    def size(self) -> int:
        """Characters in it."""
        if isinstance(self.source, str):
            return len(self.source)
        return sum(len(str(message.get("content", ""))) for message in self.source)


def document(file: File, row: Row, columns: Columns, ordinal: int) -> Document:
    """The document of a record.

    Raises:
        CorpusError: the record is no JSON object, or its text or id is missing, empty or of the wrong type;
            without the place, which `where` says.
    """
    if row.fields is None:
        raise CorpusError(row.fault)
    for column in columns.wanted:
        if column not in row.fields:
            raise CorpusError(f"no {column!r}{_near(column, row.fields)}")
    name = f"{file.name}:{row.number}" if columns.id is None else _id(row.fields[columns.id], columns.id)
    return Document(ordinal, name, file.name, row.number, _source(row.fields[columns.text], columns.text))


def _near(column: str, fields: Mapping[str, Any]) -> str:
    return closest(column, fields) or f"; the record has {', '.join(fields) or 'nothing'}"


def _id(value: Any, column: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise CorpusError(f"{column}: expected a text or a whole number, not {value!r}")
    return _unicode(str(value), column)


def _source(value: Any, column: str) -> Source:
    if value is None or value == "" or (isinstance(value, str) and not value.strip()):
        raise CorpusError(f"{column}: the text is empty")
    if isinstance(value, str):
        return _unicode(value, column)
    if not isinstance(value, list):
        raise CorpusError(f"{column}: expected a text or a list of messages, not {type(value).__name__}")
    if not value:
        raise CorpusError(f"{column}: the chat is empty")
    messages = []
    for message in value:
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise CorpusError(f"{column}: expected messages with role and content, found {message!r}")
        # Parquet gives every message the keys of all; those that it does not have are None there.
        messages.append({key: part for key, part in message.items() if part is not None})
        _unicode(str(messages[-1].get("content", "")), column)
    return messages


def _unicode(text: str, column: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"{column}: half a character at place {error.start} (a lone surrogate)") from error
    return text
