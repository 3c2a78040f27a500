"""Run by Alembic with the connection that `Database.migrate` gives."""

from __future__ import annotations

from alembic import context

from affekt.server.store.tables import Base

__all__ = []

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
