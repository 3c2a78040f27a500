"""`affekt demo`: the main job from a model's name to a page, with the default model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.atomic import write_text
from affekt.cli.session import open_model

if TYPE_CHECKING:
    from affekt.engines import Reply, TransformersEngine
    from affekt.models import Model
    from affekt.vectors import ConceptVectors

__all__ = ["demo"]

PROMPT = (
    "I have been out of work for eighteen months, the savings are gone, and this morning an eviction "
    "notice was taped to the door. We have until Friday. What do I do?"
)
"""What the user of the demo says; it names no emotion."""

SHOWN = ("desperate", "afraid", "calm", "hopeful", "happy")
"""Concepts of the terminal's heat map."""

BIASES: tuple[dict[str, float], ...] = (
    {},
    {"calm": 0.8, "desperate": -0.4},
    {"happy": 1.0},
    {"sarcastic": 1.0},
)
"""The replies of the demo, all in one batch."""


def demo(
    page: Annotated[Path, typer.Option(help="The page it leaves.")] = Path("affekt-demo.html"),
    model: Annotated[str | None, typer.Option(help="Another model than the default.")] = None,
) -> None:
    """Open the default model, extract its vectors, read a message, steer the reply, leave a page to open."""
    from rich.console import Console

    from affekt.engines import TransformersEngine
    from affekt.models.registry import DEFAULT
    from affekt.reading.page import page as render_page
    from affekt.reading.terminal import render

    console = Console()
    name = model or DEFAULT
    console.rule(f"1. open {name}")
    opened = open_model(name)
    about = opened.identity
    console.print(
        f"{about.architecture}, {about.n_layers} layers of width {about.d_model}, {about.dtype}; checked"
    )
    console.rule("2. concept vectors")
    vectors = _vectors(opened)
    engine = TransformersEngine(opened, vectors)
    console.rule("3. read a message that names no emotion")
    turn = [{"role": "user", "content": PROMPT}]
    [reading] = engine.read([turn])
    console.print(render(reading, SHOWN[:2]))
    console.rule("4. steer the reply")
    replies = _replies(engine, turn)
    for bias, reply in zip(BIASES, replies, strict=True):
        console.print(f"[bold]{_name(bias)}[/bold]\n{reply.text.strip()}\n", highlight=False)
    readings = [reply.reading for reply in replies if reply.reading is not None]
    title = f"Affekt: {name}, one message and {len(replies)} replies"
    write_text(page, render_page(readings, title, names=SHOWN, captions=[_name(b) for b in BIASES]))
    console.rule()
    console.print(f"Open [bold]{page}[/bold] in a browser. Next: affekt chat {name}, affekt check {name}")


def _vectors(model: Model) -> ConceptVectors:
    """The model's vectors, kept or made now, and what lies near two of them."""
    from affekt.quality import concept_vectors
    from affekt.vectors.shelf import shelf

    file = shelf(model.identity.name)
    vectors = concept_vectors(model, file)
    typer.echo(
        f"layers {vectors.layers[0]}-{vectors.layers[-1]}, read at {vectors.read_layer}; kept in {file}"
    )
    for word in ("desperate", "calm"):
        near = ", ".join(f"{w} {c:.2f}" for w, c in vectors.similar(word, 5))
        typer.echo(f"nearest to {word}: {near}")
    return vectors


def _replies(engine: TransformersEngine, turn: list[dict[str, str]]) -> list[Reply]:
    """One reply for each of `BIASES`, in one batch."""
    from affekt.engines import Reply, Request, Sampling

    requests = [
        Request(turn, Sampling(max_tokens=90), bias=bias, read="all", id=str(i))
        for i, bias in enumerate(BIASES)
    ]
    done = {e.request: e for e in engine.generate(requests) if isinstance(e, Reply)}
    return [done[str(i)] for i in range(len(BIASES))]


def _name(bias: dict[str, float]) -> str:
    return ", ".join(f"{name} {dial:+.1f}" for name, dial in bias.items()) or "without bias"
