"""The database that the server and the commands about it share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from affekt.errors import AffektError

if TYPE_CHECKING:
    from affekt.server.store import Database

__all__ = ["DatabaseUrl", "open_database"]

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="AFFEKT_DATABASE",
        help="sqlite:///FILE or postgresql://USER@HOST/NAME; by default a file in Affekt's cache folder.",
    ),
]


def open_database(url: str | None) -> tuple[str, Database]:
    """The URL, and the database with its tables; raises StoreError, AffektError without the extra."""
    from affekt.models.cache import cache_folder

    try:
        from affekt.server.store import Database
    except ImportError as error:
        raise AffektError(f"{error.name} is missing; install it: pip install 'affekt[server]'") from error
    url = url or f"sqlite:///{cache_folder(None) / 'server.sqlite'}"
    database = Database(url)
    database.migrate()
    return url, database
