"""`affekt compare`: what training, quantising or merging did to a model's emotional baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from affekt.cli.auditing import Against, Controls, Fresh, Prompts, Replies, Views, audit, opener
from affekt.cli.options import Dtype, Vectors
from affekt.cli.session import vectors_for

__all__ = ["compare"]


def compare(
    base: Annotated[str, typer.Argument(help="The model before: a short name, hub id, folder or GGUF file.")],
    tuned: Annotated[list[str], typer.Argument(help="The models after; NAME@int4 is NAME at 4 bits.")],
    vectors: Vectors = None,
    prompts: Prompts = None,
    control: Controls = None,
    against: Against = None,
    view: Views = None,
    reply_tokens: Replies = 32,
    no_floor: Annotated[
        bool, typer.Option("--no-floor", help="Do not measure the base's own noise: call all beyond chance.")
    ] = False,
    directions: Annotated[
        bool, typer.Option("--directions", help="Also make both models' own vectors and compare them.")
    ] = False,
    fresh: Fresh = False,
    page: Annotated[Path | None, typer.Option(help="Also write the report as one HTML page.")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the figures, a line of JSON a model.")] = None,
    dtype: Dtype = "auto",
) -> None:
    """Compare a base with its tuned models: the same prompts, the same places, one set of vectors.

    Works on fine-tunes, PEFT adapters, merged and quantised models of one architecture.
    """
    from rich.console import Console

    from affekt.atomic import write_text
    from affekt.audit.terminal import render

    console, found = Console(), []
    for one in audit(
        base,
        tuned,
        vectors=vectors,
        prompts=prompts,
        controls=control or [],
        against=against or "base",
        views=view or [],
        reply_tokens=reply_tokens,
        floor=not no_floor,
        directions=directions,
        fresh=fresh,
        dtype=dtype,
    ):
        render(one, console)
        found.append(one)
    if page is not None or json is not None:
        from affekt.audit.examples import examples, with_tokens

        open = opener(vectors_for(base, vectors), dtype)
        shown = [examples(open, one) for one in found]
        found = [with_tokens(one, each) for one, each in zip(found, shown, strict=True)]
    if page is not None:
        from affekt.audit.page import page as drawn

        write_text(page, drawn(found, shown))
        typer.echo(f"report: {page}")
    if json is not None:
        write_text(json, "".join(f"{one.to_json()}\n" for one in found))
        typer.echo(f"figures: {json}")
