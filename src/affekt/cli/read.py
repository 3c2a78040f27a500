"""`affekt read`: a text token by token."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from affekt.cli.options import Dtype, ModelName, Vectors
from affekt.cli.session import open_session

__all__ = ["read"]


def read(
    model: ModelName,
    text: Annotated[
        list[str] | None, typer.Option("--text", "-t", help="A text; may be given several times.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="A text file, or - for standard input.")
    ] = None,
    chat: Annotated[
        Path | None,
        typer.Option("--chat", "-c", help='A JSON file: a list of {"role", "content"}, or several lists.'),
    ] = None,
    concepts: Annotated[
        str | None, typer.Option(help="Concepts to show, with commas between; by default the strongest.")
    ] = None,
    layer: Annotated[
        int | None, typer.Option(help="Layer to read; by default the one chosen at extraction.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page to open in a browser.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with a z-score a token and concept.")
    ] = False,
    vectors: Vectors = None,
    dtype: Dtype = "auto",
) -> None:
    """Read what emotion concepts a model carries at each token of a text or chat."""
    from rich.console import Console

    from affekt.atomic import write_text
    from affekt.reading.page import page
    from affekt.reading.terminal import render

    sources = [*(text or ()), *_of_file(file), *_of_chat(chat)]
    if not sources:
        raise typer.BadParameter("give a text by --text, --file or --chat")
    named = [c.strip() for c in concepts.split(",")] if concepts else None
    _, held, engine = open_session(model, vectors, dtype)
    for name in named or ():
        held.index(name)
    readings = engine.read(sources, layer=layer)
    if html:
        write_text(html, page(readings, names=named or ()))
        typer.echo(f"written to {html}", err=True)
    if as_json:
        shown = [r.select(named) if named else r for r in readings]
        typer.echo(json.dumps([r.to_dict() for r in shown], ensure_ascii=False))
    elif not html:
        console = Console()
        for reading in readings:
            console.print(render(reading, named))


def _of_file(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        return [sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")]
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read as UTF-8 text: {error}") from error


def _of_chat(file: Path | None) -> list[list[dict[str, str]]]:
    if file is None:
        return []
    try:
        chats = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{file} cannot be read as JSON: {error}") from error
    if isinstance(chats, dict):
        chats = chats.get("messages", [])
    if not isinstance(chats, list):
        raise typer.BadParameter(
            f"{file} holds no chat but {chats!r:.60}; give a list of messages, or several"
        )
    return chats if chats and isinstance(chats[0], list) else [chats]
