"""Replies, events and keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    time = sa.DateTime(timezone=True)
    op.create_table(
        "replies",
        sa.Column("request", sa.String(80), primary_key=True),
        sa.Column("choice", sa.Integer, primary_key=True),
        sa.Column("time", time, nullable=False),
        sa.Column("key", sa.String(128)),
        sa.Column("model", sa.String(512), nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("reply_tokens", sa.Integer, nullable=False),
        sa.Column("finish_reason", sa.String(32), nullable=False),
        sa.Column("flagged", sa.Boolean, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("bias", sa.JSON, nullable=False),
        sa.Column("readings", sa.JSON, nullable=False),
        sa.Column("prompt", sa.Text),
        sa.Column("reply", sa.Text),
    )
    op.create_index("replies_time", "replies", ["time"])
    op.create_index("ix_replies_key", "replies", ["key"])
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("time", time, nullable=False),
        sa.Column("request", sa.String(80), nullable=False),
        sa.Column("choice", sa.Integer, nullable=False),
        sa.Column("key", sa.String(128)),
        sa.Column("monitor", sa.String(256), nullable=False),
        sa.Column("position", sa.String(64), nullable=False),
        sa.Column("token", sa.Integer),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("threshold", sa.Float, nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("followed", sa.Text, nullable=False),
        sa.Column("readings", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["request", "choice"], ["replies.request", "replies.choice"], ondelete="CASCADE"
        ),
    )
    op.create_index("events_time", "events", ["time"])
    op.create_index("events_reply", "events", ["request", "choice"])
    op.create_index("ix_events_key", "events", ["key"])
    op.create_index("ix_events_monitor", "events", ["monitor"])
    op.create_table(
        "keys",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("limits", sa.JSON, nullable=False),
        sa.Column("created", time, nullable=False),
        sa.Column("revoked", time),
    )
