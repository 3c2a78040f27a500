"""`affekt chat`: a conversation whose tokens are coloured by a concept as they stream."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affekt.cli.guard import guarded
from affekt.cli.options import Biases, Dtype, ModelName, Vectors, bias_of
from affekt.cli.session import open_session
from affekt.errors import AffektError

if TYPE_CHECKING:
    from rich.console import Console

    from affekt.engines import Reply, Sampling, TransformersEngine
    from affekt.guards import Guarded
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
    from affekt.guards import Policy
    from affekt.steering import parse

    asked = bias_of(bias)
    checked = Policy.load(policy) if policy else None
    _, held, engine = open_session(model, vectors, dtype)
    parse(asked, held)
    state = _State(bias=asked)
    if read:
        _read(state, held, read)
    else:
        state.concepts = tuple(name for name in state.concepts if name in held.names) or held.names[:6]
    sampling = Sampling(max_tokens, temperature, seed=seed)
    guard = guarded(engine, checked, None, vectors) if checked else None
    if guard is not None and guard.calibration is not None:
        guard.calibration.compare(sampling)
    start = [{"role": "system", "content": system}] if system else []
    state.turns = list(start)
    console = Console(highlight=False)
    layer = held.read_layer if checked is None or checked.layer is None else checked.layer
    console.print(f"{model}, layer {layer}; /help for commands", style="dim", markup=False)
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
                console.print(_command(state, held, line), style="dim", markup=False)
            elif line:
                _reply(console, engine, state, line, sampling, guard)
        except AffektError as error:
            console.print(str(error), style="red", markup=False)
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
            # A concept may be two words, so the pairs do not end at every space.
            wanted = bias_of(re.findall(r"[^=]+=\S*|.+", rest))
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
    engine: TransformersEngine,
    state: _State,
    line: str,
    sampling: Sampling,
    guard: Guarded | None,
) -> None:
    from rich.text import Text

    from affekt.engines import Reply, Request, Token
    from affekt.reading import diverging

    turns = [*state.turns, {"role": "user", "content": line}]
    watcher, layer = (guard.guardian, guard.policy.layer) if guard is not None else (None, None)
    request = Request(turns, sampling, state.bias, state.concepts, layer, watcher)
    console.print("[bold]model[/bold] ", end="")
    for event in engine.generate([request]):
        if isinstance(event, Token) and event.text:
            z = float(event.reading[0]) if event.reading is not None else 0.0
            red, green, blue = diverging(z)
            console.print(Text(event.text, style=f"black on rgb({red},{green},{blue})"), end="")
        elif isinstance(event, Reply):
            console.print()
            if event.replaced:
                console.print(f"instead: {event.text}", style="bold", markup=False)
            state.turns = [*turns, {"role": "assistant", "content": event.text}]
            console.print(_means(event), style="dim", markup=False)
            for one in event.events:
                console.print(f"guard: {one}", style="yellow", markup=False)


def _means(reply: Reply) -> str:
    """What the reply's own words read as, the mark of its end left out."""
    whole = reply.reading
    places = range(reply.prompt_tokens, 0 if whole is None else len(whole.tokens))
    said = [place for place in places if whole is not None and whole.roles[place] != "special"]
    if whole is None or not said:
        return "no tokens to read"
    means = zip(whole.concepts, whole.z[said].mean(0), strict=True)
    return f"mean z over {len(said)} tokens: " + ", ".join(f"{name} {z:+.1f}" for name, z in means)
