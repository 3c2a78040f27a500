"""The audit trail: every reply once, with the events of its guard, committed before it is told of."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Text, delete, or_, select, type_coerce
from sqlalchemy.orm import Session

from affekt.server.store.database import Database
from affekt.server.store.tables import EventRow, ReplyRow

__all__ = ["Filter", "Summary", "Trail"]

PAGE = 500


@dataclass(frozen=True)
class Summary:
    """A reply, summed up."""

    request: str
    """The request's id, as the client was told it."""
    choice: int
    """Which of the request's replies."""
    model: str
    """The model's name."""
    key: str | None
    """Name of the caller's key; None without one."""
    prompt_tokens: int
    """Tokens of the prompt."""
    reply_tokens: int
    """Tokens of the reply."""
    finish_reason: str
    """Why it ended, in the engine's words, or `error`."""
    flagged: bool = False
    """Whether the guard marked it."""
    seconds: float = 0.0
    """From the request to the reply's end."""
    bias: Mapping[str, Any] = field(default_factory=dict)
    """The request's `emotion_bias`."""
    readings: Mapping[str, Any] = field(default_factory=dict)
    """What was read, summed up."""
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When it ended."""


@dataclass(frozen=True)
class Filter:
    """Which events are wanted; None lets all through."""

    monitor: str | None = None
    """Name of the monitor."""
    concept: str | None = None
    """A monitor that watches this concept or axis, or that is called so."""
    action: str | None = None
    """What the policy did."""
    key: str | None = None
    """The caller's key."""
    request: str | None = None
    """The request's id."""
    above: float | int | None = None
    """Values from here on."""
    below: float | int | None = None
    """Values up to here."""
    since: datetime | None = None
    """Times from here on."""
    until: datetime | None = None
    """Times before this."""
    after: int | None = None
    """Events later than that of this id."""
    limit: int | None = 1000
    """At most so many, the latest; None is all, the oldest first."""


class Trail:
    """Replies and events in a database."""

    def __init__(
        self,
        database: Database,
        text: Literal["keep", "hash", "drop"] = "hash",
        retention_days: float | int | None = None,
    ) -> None:
        """Takes a migrated database.

        Args:
            database: where it is kept.
            text: of prompts and replies the text itself, a SHA-256 of it, or nothing. Where it is not kept,
                the token texts of events are not either.
            retention_days: how long; None is forever.
        """
        self.database, self._text, self._days = database, text, retention_days

    def record(
        self, summary: Summary, events: Sequence[Mapping[str, Any]] = (), prompt: str = "", reply: str = ""
    ) -> list[dict[str, Any]]:
        """Commits a reply and its events together. A reply that is there already stays as it is.

        Args:
            summary: the reply.
            events: as `Event.to_dict` gives them; `concepts`, what the monitor watches, and `heat`, its
                values over the tokens around the trip, may be there too.
            prompt: what was asked.
            reply: what was said.

        Returns:
            The events as `events` gives them.

        Raises:
            StoreError: it could not be committed; nothing of it is there then.
        """
        with self.database.session() as session:
            if session.get(ReplyRow, (summary.request, summary.choice)) is not None:
                return []
            fields = {name: getattr(summary, name) for name in Summary.__dataclass_fields__}
            fields["bias"], fields["readings"] = _plain(summary.bias), _plain(summary.readings)
            session.add(ReplyRow(**fields, prompt=self._kept(prompt), reply=self._kept(reply)))
            session.flush()
            rows = [self._event(event, summary) for event in events]
            session.add_all(rows)
            session.flush()
            return [_row(row) for row in rows]

    def events(self, wanted: Filter | None = None) -> Iterator[dict[str, Any]]:
        """Events, the oldest first, a page at a time; raises StoreError."""
        wanted = wanted or Filter()
        query = select(EventRow)
        for column, value in (
            (EventRow.monitor, wanted.monitor),
            (EventRow.action, wanted.action),
            (EventRow.key, wanted.key),
            (EventRow.request, wanted.request),
        ):
            if value is not None:
                query = query.where(column == value)
        if wanted.above is not None:
            query = query.where(EventRow.value >= wanted.above)
        if wanted.below is not None:
            query = query.where(EventRow.value <= wanted.below)
        if wanted.since is not None:
            query = query.where(EventRow.time >= wanted.since)
        if wanted.until is not None:
            query = query.where(EventRow.time < wanted.until)
        if wanted.after is not None:
            query = query.where(EventRow.id > wanted.after)
        if wanted.concept is not None:
            watches = type_coerce(EventRow.concepts, Text).contains(f"|{wanted.concept}|", autoescape=True)
            query = query.where(or_(watches, EventRow.monitor == wanted.concept))
        with self.database.session() as session:
            yield from self._pages(session, query, wanted)

    def replies(self, limit: int = 100, request: str | None = None) -> list[dict[str, Any]]:
        """The latest replies, the newest first; raises StoreError."""
        query = select(ReplyRow).order_by(ReplyRow.time.desc()).limit(limit)
        if request is not None:
            query = query.where(ReplyRow.request == request)
        with self.database.session() as session:
            return [_row(row) for row in session.scalars(query)]

    def prune(self, now: datetime | None = None) -> int:
        """Deletes what is older than is kept; returns how many replies. Raises StoreError."""
        if self._days is None:
            return 0
        before = (now or datetime.now(UTC)) - timedelta(days=self._days)
        with self.database.session() as session:
            old = list(
                session.execute(select(ReplyRow.request, ReplyRow.choice).where(ReplyRow.time < before))
            )
            session.execute(delete(EventRow).where(EventRow.time < before))
            session.execute(delete(ReplyRow).where(ReplyRow.time < before))
            return len(old)

    @staticmethod
    def _pages(session: Session, query: Any, wanted: Filter) -> Iterator[dict[str, Any]]:
        if wanted.limit is not None and wanted.after is None:
            # The latest come last, as in a log.
            newest = session.scalars(query.order_by(EventRow.id.desc()).limit(wanted.limit))
            yield from reversed([_row(row) for row in newest])
            return
        for row in session.scalars(query.order_by(EventRow.id).limit(wanted.limit)).yield_per(PAGE):
            yield _row(row)

    def _event(self, event: Mapping[str, Any], summary: Summary) -> EventRow:
        return EventRow(
            time=datetime.fromisoformat(event["time"]),
            request=summary.request,
            choice=summary.choice,
            key=summary.key,
            monitor=_clean(event["monitor"]),
            position=event["position"],
            token=event["token"],
            text=_clean(event["text"]) if self._text == "keep" else "",
            value=event["value"],
            threshold=event["threshold"],
            direction=event["direction"],
            action=event["action"],
            followed=_clean(event["followed"]) if self._text == "keep" else event["followed"],
            readings=_plain(event["values"]),
            concepts=[_clean(name) for name in event.get("concepts", ())],
            heat=self._heat(event.get("heat")),
        )

    def _heat(self, heat: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """A heat map without its tokens where text is not kept."""
        if heat is None:
            return None
        plain: dict[str, Any] = _plain(heat)
        return plain if self._text == "keep" else {**plain, "text": None}

    def _kept(self, text: str) -> str | None:
        if self._text == "keep":
            return _clean(text)
        if self._text == "hash":
            return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return None


def _row(row: EventRow | ReplyRow) -> dict[str, Any]:
    values = {column.key: getattr(row, column.key) for column in row.__table__.columns}
    return {**values, "time": row.time.isoformat()}


def _clean(text: str) -> str:
    """A text that every database takes: no NUL and no half of a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _plain(value: Any) -> Any:
    """JSON that every database takes: what is no finite number becomes null."""
    if isinstance(value, Mapping):
        return {_clean(str(key)): _plain(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _clean(value) if isinstance(value, str) else value
