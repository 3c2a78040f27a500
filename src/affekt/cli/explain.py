"""`affekt explain`: which concepts a reply rests on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.cli.options import Dtype, ModelName, Vectors, chat_of
from affekt.cli.session import open_session
from affekt.progress import progress_bar

if TYPE_CHECKING:
    from affekt.engines import Engine
    from affekt.explaining import Told

__all__ = ["explain"]


def explain(
    model: ModelName,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="What the user says.")],
    reply: Annotated[
        str | None, typer.Option("--reply", "-r", help="The reply; by default the model's own, greedily.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Another reply: explain why the first one and not this one.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="A system message.")] = None,
    concepts: Annotated[
        str | None,
        typer.Option(help="Concepts to test in any case, with commas between; others by their readings."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Test all concepts; takes many times as long.")
    ] = False,
    rows: Annotated[int, typer.Option(min=1, help="Most forwards per reply.")] = 60,
    max_tokens: Annotated[int, typer.Option(min=1, help="Length of the model's own reply.")] = 40,
    seed: Annotated[int, typer.Option(help="Seed of the random directions.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write a page to open in a browser.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    vectors: Vectors = None,
    dtype: Dtype = "auto",
) -> None:
    """Trace a reply back: how far its probability falls without a concept, against random directions."""
    from rich.console import Console

    from affekt.atomic import write_text
    from affekt.engines import TransformersEngine
    from affekt.explaining import explain as run
    from affekt.explaining import tell
    from affekt.explaining.page import page
    from affekt.explaining.terminal import render

    turns = chat_of(prompt, system)
    named = [c.strip() for c in concepts.split(",") if c.strip()] if concepts else []
    opened, held, engine = open_session(model, vectors, dtype)
    for name in named:
        held.index(name)

    def given(text: str) -> Told:
        return tell(opened.tokenizer, turns, text, opened.context)

    told = given(reply) if reply is not None else _own(engine, turns, max_tokens)
    with progress_bar("rows") as progress:
        explanation = run(
            engine,
            held,
            told,
            lambda widened: TransformersEngine(opened, widened),
            against=given(against) if against is not None else None,
            concepts=named,
            full=full,
            rows=rows,
            seed=seed,
            progress=progress,
        )
    if html:
        write_text(html, page(explanation))
        typer.echo(f"written to {html}", err=True)
    if as_json:
        typer.echo(json.dumps(explanation.to_dict(), ensure_ascii=False))
    elif not html:
        Console().print(render(explanation))


def _own(engine: Engine, turns: list[dict[str, str]], max_tokens: int) -> Told:
    """The model's greedy reply."""
    from affekt.engines import Reply, Request, Sampling
    from affekt.explaining import told_by

    [reply] = [
        event
        for event in engine.generate([Request(turns, Sampling(max_tokens=max_tokens))])
        if isinstance(event, Reply)
    ]
    return told_by(reply)
