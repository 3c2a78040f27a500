"""`affekt events`: what the server's guard did."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

import typer

from affekt.cli.database import DatabaseUrl, open_database

__all__ = ["events"]


def events(
    monitor: Annotated[str | None, typer.Option(help="Of this monitor only.")] = None,
    concept: Annotated[str | None, typer.Option(help="Of monitors that watch this concept.")] = None,
    action: Annotated[str | None, typer.Option(help="With this action, such as refuse.")] = None,
    key: Annotated[str | None, typer.Option(help="Of the requests of this key.")] = None,
    request: Annotated[str | None, typer.Option(help="Of the request of this id.")] = None,
    above: Annotated[float | None, typer.Option(help="With a value from here on, in z.")] = None,
    below: Annotated[float | None, typer.Option(help="With a value up to here, in z.")] = None,
    since: Annotated[datetime | None, typer.Option(help="From this time on, local.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this time, local.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines.")] = False,
    database: DatabaseUrl = None,
) -> None:
    """Print events of the audit trail, the oldest first."""
    from rich.console import Console
    from rich.table import Table

    _, opened = open_database(database)
    from affekt.server.store import Filter, Trail

    wanted = Filter(
        monitor=monitor,
        concept=concept,
        action=action,
        key=key,
        request=request,
        above=above,
        below=below,
        since=since.astimezone() if since else None,
        until=until.astimezone() if until else None,
        limit=limit,
    )
    found = Trail(opened).events(wanted)
    if as_json:
        for event in found:
            typer.echo(json.dumps(event, ensure_ascii=False))
        return
    table = Table("time", "monitor", "z", "limit", "at", "action", "key")
    table.add_column("request", no_wrap=True)
    for event in found:
        value = "" if event["value"] is None else f"{event['value']:.2f}"
        at = "prompt" if event["token"] is None else str(event["token"])
        told = (event["action"], event["key"] or "", event["request"])
        time = event["time"][5:19].replace("T", " ")
        table.add_row(time, event["monitor"], value, f"{event['threshold']:.2f}", at, *told)
    if table.row_count:
        Console().print(table)
    else:
        typer.echo("no such events")
