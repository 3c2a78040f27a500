"""The database: opened, migrated, and failing in one plain line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from affekt.errors import StorageError

__all__ = ["Database", "StoreError"]

PATIENCE = 10
"""Seconds to wait for another writer."""


class StoreError(StorageError):
    """The database cannot be reached, read or written."""


class Database:
    """A database by its URL, `sqlite:///FILE` or `postgresql+psycopg://…`."""

    def __init__(self, url: str) -> None:
        """Takes the URL; nothing is opened yet.

        Raises:
            StoreError: for a URL that is none, or a driver that is not installed.
        """
        try:
            parsed = make_url(url)
            if parsed.drivername == "postgresql":
                parsed = parsed.set(drivername="postgresql+psycopg")
            self.lite = parsed.get_backend_name() == "sqlite"
            in_file = self.lite and parsed.database and parsed.database != ":memory:"
            self._file = Path(parsed.database or "") if in_file else None
            self._inode: tuple[int, int] | None = None
            options: dict[str, Any] = {"connect_args": {"timeout": PATIENCE}} if self.lite else {}
            if self._file is not None:
                self._file.parent.mkdir(parents=True, exist_ok=True)
            self._engine: Engine = create_engine(parsed, pool_pre_ping=not self.lite, **options)
        except (ArgumentError, ImportError, SQLAlchemyError, OSError) as error:
            raise StoreError(f"the database {_hidden(url)} cannot be opened: {_first_line(error)}") from error
        self._name = parsed.render_as_string(hide_password=True)
        if self.lite:
            event.listen(self._engine, "connect", self._opened)

    def migrate(self) -> None:
        """Brings the tables to what this version needs; raises StoreError."""
        from alembic import command
        from alembic.config import Config
        from alembic.util.exc import CommandError

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
        try:
            with self._engine.begin() as connection:
                if not self.lite:
                    # Two servers that start at once migrate one after the other.
                    connection.execute(text("SELECT pg_advisory_xact_lock(1746291)"))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(
                f"the database {self._name} was made by a newer version of Affekt: {_first_line(error)}"
            ) from error
        except (SQLAlchemyError, OSError) as error:
            raise self._error(error) from error

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction; committed at the end, taken back by an error. Raises StoreError."""
        self._here()
        try:
            with Session(self._engine) as session, session.begin():
                yield session
            self._here()
        except (SQLAlchemyError, OSError) as error:
            raise self._error(error) from error

    def ping(self) -> None:
        """Raises StoreError where the database does not answer."""
        with self.session() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Lets go of the connections."""
        self._engine.dispose()

    def _opened(self, connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()
        self._inode = _inode(self._file)

    def _here(self) -> None:
        """Whether the file that is open still has its name: SQLite goes on writing to one that is deleted,
        and nobody would ever read that."""
        if self._inode is None or _inode(self._file) == self._inode:
            return
        self._engine.dispose()
        if _inode(self._file) is None:
            raise StoreError(
                f"the database {self._name} is gone: its file was deleted or moved; bring it back"
            )
        self._inode = None
        raise StoreError(f"the database {self._name} was replaced while it was open; it is opened anew")

    def _error(self, error: Exception) -> StoreError:
        return StoreError(f"the database {self._name} fails: {_first_line(error)}")


def _inode(file: Path | None) -> tuple[int, int] | None:
    """Which file stands under a name; None for none."""
    try:
        found = file.stat() if file is not None else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found is not None else None


def _first_line(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]


def _hidden(url: str) -> str:
    """A URL without what stands between `://` and `@`."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if rest else repr(url)
