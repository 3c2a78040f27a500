"""`affekt chat`: a conversation whose tokens are coloured by a concept as they stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affekt.cli.options import Biases, Dtype, ModelName, Vectors, bias_of
from affekt.cli.session import open_session
from affekt.errors import AffektError

if TYPE_CHECKING:
    from rich.console import Console

    from affekt.engines import Engine
    from affekt.vectors import ConceptVectors

__all__ = ["chat"]

HELP = """/bias calm=0.5 desperate=-0.5   steer from now on; /bias alone shows it, /bias off ends it
/read desperate,calm            colour by the first, sum up all; /read alone goes back to the strongest
/reset                          forget the conversation
/quit                           leave (or Ctrl-D)"""


@dataclass
class _State:
    """What a conversation remembers."""

    turns: list[dict[str, str]] = field(default_factory=list)
    bias: dict[str, Any] = field(default_factory=dict)
    concepts: tuple[str, ...] = ("desperate", "calm", "afraid", "angry", "happy", "loving")
    seed: int | None = None


def chat(
    model: ModelName,
    bias: Biases = None,
    read: Annotated[str | None, typer.Option(help="Concepts to read, with commas between.")] = None,
    system: Annotated[str | None, typer.Option(help="A system message.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="A guard policy (YAML) that watches every reply.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1)] = 200,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy.")] = 0.7,
    seed: Annotated[int | None, typer.Option(help="Seed of the sampling.")] = None,
    vectors: Vectors = None,
    dtype: Dtype = "auto",
) -> None:
    """Talk to a model and watch its tokens; /help lists what can be changed on the way."""
    from rich.console import Console

    from affekt.engines import Sampling

    asked = bias_of(bias)
    _, held, engine = open_session(model, vectors, dtype)
    state = _State(bias=asked, seed=seed)
    if read:
        _read(state, held, read)
    watcher = None
    if policy:
        from affekt.guard import Policy

        watcher = Policy.load(policy).watcher(held)
    start = [{"role": "system", "content": system}] if system else []
    state.turns = list(start)
    console = Console(highlight=False)
    console.print(f"[dim]{model}, layer {held.read_layer}; /help for commands[/dim]")
    while True:
        try:
            line = console.input("[bold]you[/bold] ").strip()
        except EOFError:
            console.print()
            return
        try:
            if line in {"/quit", "/exit"}:
                return
            if line == "/reset":
                state.turns = list(start)
                console.print("[dim]forgotten[/dim]")
            elif line.startswith("/"):
                console.print(f"[dim]{_command(state, held, line)}[/dim]", markup=True)
            elif line:
                sampling = Sampling(max_tokens=max_tokens, temperature=temperature, seed=state.seed)
                _reply(console, engine, state, line, sampling, watcher)
        except AffektError as error:
            console.print(f"[red]{error}[/red]")
        except KeyboardInterrupt:
            console.print("\n[dim]stopped[/dim]")


def _command(state: _State, held: ConceptVectors, line: str) -> str:
    """Carry a command out and say what holds now."""
    from affekt.steering import parse

    verb, _, rest = line.partition(" ")
    if verb == "/bias":
        if rest.strip() in {"off", "none"}:
            state.bias = {}
        elif rest.strip():
            wanted = bias_of(rest.split())
            parse(wanted, held)
            state.bias = wanted
        return f"bias: {state.bias or 'none'}"
    if verb == "/read":
        _read(state, held, rest)
        return f"reading: {', '.join(state.concepts)}"
    return HELP


def _read(state: _State, held: ConceptVectors, names: str) -> None:
    chosen = tuple(n.strip() for n in names.split(",") if n.strip()) or _State().concepts
    for name in chosen:
        held.index(name)
    state.concepts = chosen


def _reply(
    console: Console,
    engine: Engine,
    state: _State,
    line: str,
    sampling: Any,
    watcher: Any,
) -> None:
    from rich.text import Text

    from affekt.engines import Reply, Request, Token
    from affekt.reading import diverging

    turns = [*state.turns, {"role": "user", "content": line}]
    request = Request(turns, sampling, bias=state.bias, read=state.concepts, guard=watcher)
    console.print("[bold]model[/bold] ", end="")
    for event in engine.generate([request]):
        if isinstance(event, Token) and event.text:
            z = float(event.reading[0]) if event.reading is not None else 0.0
            red, green, blue = diverging(z)
            console.print(Text(event.text, style=f"black on rgb({red},{green},{blue})"), end="")
        elif isinstance(event, Reply):
            console.print()
            if event.replaced:
                console.print(f"[bold]guard:[/bold] {event.text}")
            state.turns = [*turns, {"role": "assistant", "content": event.text}]
            if event.reading is not None and len(event.tokens):
                said = event.reading.z[event.prompt_tokens :].mean(0)
                means = ", ".join(f"{n} {z:+.1f}" for n, z in zip(event.reading.concepts, said, strict=True))
                console.print(f"[dim]mean z over {len(event.tokens)} tokens: {means}[/dim]")
            for one in event.events:
                console.print(f"[yellow]guard: {one}[/yellow]")
