"""Events: which concepts their monitor watches, and its values over the tokens around the trip."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the columns; the events there are watch nothing that is known."""
    op.add_column("events", sa.Column("concepts", sa.Text, nullable=False, server_default="|"))
    op.add_column("events", sa.Column("heat", sa.JSON))
