"""`affekt keys`: who may use the server."""

from __future__ import annotations

from typing import Annotated

import typer

from affekt.cli.database import DatabaseUrl, open_database

__all__ = ["keys"]

keys = typer.Typer(help="Add, list or revoke the server's API keys.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="What to call the key, such as the team that uses it.")]


@keys.command()
def add(
    name: Name,
    requests: Annotated[int | None, typer.Option(min=1, help="Most requests a minute.")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of replies a minute.")] = None,
    max_dial: Annotated[
        float | None, typer.Option(min=0.0, help="Largest dial of an emotion_bias; 0 forbids it.")
    ] = None,
    database: DatabaseUrl = None,
) -> None:
    """Make a key and print it. It is shown this once: only its hash is kept."""
    _, opened = open_database(database)
    from affekt.server.store import Keys, Limits

    limits = Limits(requests_per_minute=requests, tokens_per_minute=tokens, max_dial=max_dial)
    typer.echo(Keys(opened).add(name, limits))


@keys.command("list")
def list_(database: DatabaseUrl = None) -> None:
    """List the keys with their limits."""
    from rich.console import Console
    from rich.table import Table

    _, opened = open_database(database)
    from affekt.server.store import Keys

    table = Table("name", "requests/min", "tokens/min", "max dial", "made", "revoked")
    for key in Keys(opened).list():
        limits = key.limits
        cells = (limits.requests_per_minute, limits.tokens_per_minute, limits.max_dial)
        table.add_row(
            key.name,
            *("" if cell is None else f"{cell:g}" for cell in cells),
            f"{key.created:%Y-%m-%d %H:%M}",
            f"{key.revoked:%Y-%m-%d %H:%M}" if key.revoked else "",
        )
    Console().print(table)


@keys.command()
def revoke(name: Name, database: DatabaseUrl = None) -> None:
    """Take a key back; a running server notices within seconds."""
    _, opened = open_database(database)
    from affekt.server.store import Keys

    Keys(opened).revoke(name)
    typer.echo(f"{name}: revoked")
