"""`affekt corpus`: write a corpus of one's own with any model, and check one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.cli.interrupts import interrupts
from affekt.cli.options import Dtype
from affekt.cli.session import open_model
from affekt.progress import progress_bar

if TYPE_CHECKING:
    from affekt.concepts.writing import Writer

__all__ = ["corpus"]

corpus = typer.Typer(help="Write a corpus of your own with any model, or check one.", no_args_is_help=True)

KindName = Annotated[
    str, typer.Argument(metavar="KIND", help="stories, neutral, two_emotions or deflection.")
]


@corpus.command()
def write(
    kind: KindName,
    model: Annotated[
        str,
        typer.Option(
            help="Who writes: a short name, hub id, folder or GGUF file; with --endpoint its name there."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the corpus; the same one goes on.")],
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="An OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1."),
    ] = None,
    key: Annotated[
        str, typer.Option(envvar="AFFEKT_WRITER_KEY", help="Its API key.", show_default=False)
    ] = "",
    topics: Annotated[
        str | None,
        typer.Option(
            help="How many of the shipped topics, or a file: one a line, or JSON Lines with topic, text."
        ),
    ] = None,
    concepts: Annotated[
        str | None, typer.Option(help="With commas between, or a file with one a line; by default the 171.")
    ] = None,
    texts: Annotated[int, typer.Option(min=1, help="Texts of each cell, such as a concept in a topic.")] = 1,
    a_call: Annotated[
        int | None,
        typer.Option("--a-call", min=1, help="Texts asked for in one call; fewer for small models."),
    ] = None,
    least: Annotated[int | None, typer.Option(min=1, help="Fewest words of a text.")] = None,
    prompt: Annotated[
        Path | None, typer.Option(help="A prompt of your own; `affekt corpus prompt KIND` prints ours.")
    ] = None,
    tries: Annotated[int, typer.Option(min=1, help="Calls for a cell before it is left short.")] = 3,
    again: Annotated[bool, typer.Option("--again", help="Ask again for cells that were left short.")] = False,
    at_once: Annotated[int, typer.Option(min=1, help="Calls under way at a time.")] = 8,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest reply, in tokens.")] = None,
    temperature: Annotated[float, typer.Option(min=0.0)] = 1.0,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds to wait for an endpoint's reply.")] = 300.0,
    seed: Annotated[int, typer.Option(help="Of the pairing of emotions.")] = 0,
    dtype: Dtype = "auto",
) -> None:
    """Write stories, neutral dialogues, dialogues of two emotions, or scenes in which one is hidden.

    Each text is checked: long enough, whole, its emotion not named, not a copy, not about the same "Elias" as
    the others. A stopped run goes on: what is there is not written again. `affekt extract --corpus FOLDER`
    reads stories as they are.
    """
    from affekt.cli.corpora import ordered, said
    from affekt.concepts.writing import Folder, export, kind_of, summarised
    from affekt.concepts.writing import write as run
    from affekt.concepts.writing.checks import Sieve

    wanted = kind_of(kind)
    order = ordered(wanted, topics, concepts, texts, a_call or wanted.a_call, tries, prompt, seed)
    longest = max_tokens or wanted.tokens * order.a_call + 200
    typer.echo(
        f"{kind}: {order.wanted:,} texts wanted, {len(order.cells):,} cells x {order.texts}, "
        f"{min(order.a_call, order.texts)} a call",
        err=True,
    )
    with Folder(out, wanted) as folder:
        if folder.calls:
            typer.echo(f"{out}: {sum(1 for _ in folder.records()):,} texts are there already", err=True)
        try:
            with (
                _writer(model, endpoint, key, longest, temperature, timeout, at_once, dtype) as writer,
                progress_bar("wanted") as progress,
                interrupts() as stopped,
            ):
                run(
                    writer,
                    order,
                    folder,
                    Sieve.of(wanted, least),
                    name=model,
                    at_once=at_once,
                    again=again,
                    progress=progress,
                    stop=stopped,
                )
                interrupted = stopped()
        finally:
            files = export(folder, order.cells)
        typer.echo(said(summarised(folder, order), out, files, wanted, interrupted))
        if interrupted:
            typer.echo(
                "stopped; what was finished is kept, and the same command goes on from there", err=True
            )
            raise typer.Exit(130)


@corpus.command()
def check(
    folder: Annotated[Path, typer.Argument(help="A folder of JSON Lines, or one file.")],
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 where anything is found.")] = False,
    no_baseline: Annotated[
        bool, typer.Option("--no-baseline", help="Leave out the text-only baseline, which takes longest.")
    ] = False,
) -> None:
    """Check a corpus: counts, balance, named emotions, copies, names, and what the words alone give away."""
    from rich.console import Console

    from affekt.quality.corpora import checked
    from affekt.quality.terminal import show

    console = Console()
    sections, found = checked(folder, baseline=not no_baseline)
    for section in sections:
        show(section.to_dict(), console)
    typer.echo(f"\n{folder}: " + ("nothing found" if not found else f"{found} checks found something"))
    if strict and found:
        raise typer.Exit(3)


@corpus.command()
def prompt(kind: KindName) -> None:
    """Print a shipped prompt, to begin one of your own with."""
    from affekt.concepts.writing import kind_of

    typer.echo(kind_of(kind).prompt, nl=False)


def _writer(
    model: str,
    endpoint: str | None,
    key: str,
    max_tokens: int,
    temperature: float,
    timeout: float,
    at_once: int,
    dtype: str,
) -> AbstractContextManager[Writer]:
    from affekt.cli.writers import endpoint_writer, engine_writer

    if endpoint is not None:
        return endpoint_writer(endpoint, model, key, max_tokens, temperature, timeout)
    from affekt.engines import TransformersEngine

    engine = TransformersEngine(open_model(model, dtype))
    return engine_writer(engine, max_tokens, temperature, at_once)
