"""The tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Base", "EventRow", "KeyRow", "ReplyRow"]


class Utc(TypeDecorator[datetime]):
    """A time in UTC, whatever the database makes of time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database; SQLite forgets the zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Names(TypeDecorator[list[str]]):
    """Names in one text, each between two bars, so that every database can look for one."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else "".join(f"|{name}" for name in value) + "|"

    def process_result_value(self, value: str | None, dialect: Dialect) -> list[str]:  # noqa: ARG002
        """From the database."""
        return [name for name in (value or "").split("|") if name]


class Base(DeclarativeBase):
    """All tables."""


class ReplyRow(Base):
    """A reply, summed up."""

    __tablename__ = "replies"
    __table_args__ = (Index("replies_time", "time"),)

    request: Mapped[str] = mapped_column(String(80), primary_key=True)
    choice: Mapped[int] = mapped_column(Integer, primary_key=True)
    time: Mapped[datetime] = mapped_column(Utc)
    key: Mapped[str | None] = mapped_column(String(128), index=True)
    model: Mapped[str] = mapped_column(String(512))
    prompt_tokens: Mapped[int]
    reply_tokens: Mapped[int]
    finish_reason: Mapped[str] = mapped_column(String(32))
    flagged: Mapped[bool]
    seconds: Mapped[float] = mapped_column(Float)
    bias: Mapped[dict[str, Any]] = mapped_column(JSON)
    readings: Mapped[dict[str, Any]] = mapped_column(JSON)
    prompt: Mapped[str | None] = mapped_column(Text)
    reply: Mapped[str | None] = mapped_column(Text)


class EventRow(Base):
    """A trip of a monitor."""

    __tablename__ = "events"
    __table_args__ = (
        ForeignKeyConstraint(
            ["request", "choice"], ["replies.request", "replies.choice"], ondelete="CASCADE"
        ),
        Index("events_time", "time"),
        Index("events_reply", "request", "choice"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    time: Mapped[datetime] = mapped_column(Utc)
    request: Mapped[str] = mapped_column(String(80))
    choice: Mapped[int]
    key: Mapped[str | None] = mapped_column(String(128), index=True)
    monitor: Mapped[str] = mapped_column(String(256), index=True)
    position: Mapped[str] = mapped_column(String(64))
    token: Mapped[int | None]
    text: Mapped[str]
    value: Mapped[float | None]
    threshold: Mapped[float]
    direction: Mapped[str] = mapped_column(String(8))
    action: Mapped[str] = mapped_column(String(32))
    followed: Mapped[str] = mapped_column(Text)
    readings: Mapped[dict[str, Any]] = mapped_column(JSON)
    concepts: Mapped[list[str]] = mapped_column(Names)
    heat: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class KeyRow(Base):
    """An API key; only its hash is kept."""

    __tablename__ = "keys"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    limits: Mapped[dict[str, Any]] = mapped_column(JSON)
    created: Mapped[datetime] = mapped_column(Utc)
    revoked: Mapped[datetime | None] = mapped_column(Utc)
