"""API keys: shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from affekt.server.store.database import Database, StoreError
from affekt.server.store.limits import Limits
from affekt.server.store.tables import KeyRow

__all__ = ["Key", "Keys"]


@dataclass(frozen=True)
class Key:
    """A key, without what opens the door."""

    name: str
    """Whose it is."""
    limits: Limits
    """What it may do."""
    created: datetime
    """When it was made."""
    revoked: datetime | None
    """When it was taken back."""


class Keys:
    """The keys in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, limits: Limits | None = None) -> str:
        """A new key of 256 random bits: the only time that it is told.

        Raises:
            StoreError: for a name that is taken, or a database that fails.
        """
        if not name or not name.isprintable() or len(name) > 128:
            raise StoreError(f"the key's name {name!r} is not 1 to 128 printable characters")
        secret = "ak-" + secrets.token_urlsafe(32)
        with self._database.session() as session:
            if session.get(KeyRow, name) is not None:
                raise StoreError(f"there is a key called {name!r} already; choose another name")
            given = (limits or Limits()).model_dump()
            session.add(KeyRow(name=name, digest=_digest(secret), limits=given, created=datetime.now(UTC)))
        return secret

    def verify(self, secret: str) -> Key | None:
        """The key that this is, unless it is none or revoked; raises StoreError.

        What is compared is the hash of a secret of 256 bits, all hashes in constant time, so that the time
        taken says nothing of any of them."""
        digest = _digest(secret)
        with self._database.session() as session:
            found = None
            for row in session.scalars(select(KeyRow)):
                if hmac.compare_digest(row.digest, digest) and row.revoked is None:
                    found = _key(row)
            return found

    def list(self) -> list[Key]:
        """All keys, the revoked ones too, by name; raises StoreError."""
        with self._database.session() as session:
            return [_key(row) for row in session.scalars(select(KeyRow).order_by(KeyRow.name))]

    def revoke(self, name: str) -> None:
        """Takes a key back at once; raises StoreError for a name that there is not."""
        with self._database.session() as session:
            row = session.get(KeyRow, name)
            if row is None:
                names = ", ".join(session.scalars(select(KeyRow.name).order_by(KeyRow.name))) or "none"
                raise StoreError(f"no key called {name!r}; there are: {names}")
            row.revoked = row.revoked or datetime.now(UTC)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _key(row: KeyRow) -> Key:
    return Key(row.name, Limits(**row.limits), row.created, row.revoked)
