"""`affekt extract`: the vectors of a model."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from affekt.atomic import check_writable
from affekt.cli.making import make_share, make_vectors, merge_into, set_dial
from affekt.cli.options import Dtype, EngineOptions, ModelName, options_of
from affekt.cli.session import open_model

__all__ = ["extract"]

TEXTS = 64
"""Most texts that vLLM runs at once."""


def extract(
    model: ModelName,
    out: Annotated[Path | None, typer.Option(help="Vectors file; by default kept for the model.")] = None,
    corpus: Annotated[
        list[Path] | None,
        typer.Option(help="A corpus of your own, file or folder, instead of the shipped ones."),
    ] = None,
    layers: Annotated[str | None, typer.Option(help="Layers to keep, such as 12-20 or 12,16,20.")] = None,
    first_token: Annotated[int, typer.Option(help="First token of a text that is averaged.")] = 50,
    dial: Annotated[
        int, typer.Option(min=0, help="Concepts on which the dial is calibrated; 0 leaves that to later.")
    ] = 8,
    shard: Annotated[
        str | None,
        typer.Option(help="I/N, such as 2/4: run only this share of the texts and keep its sums in --out."),
    ] = None,
    merge: Annotated[
        list[Path] | None,
        typer.Option(help="A share's folder; give all of them. What none of them has run is run here."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="What runs the model over the corpus: transformers, or vllm.")
    ] = "transformers",
    engine_option: EngineOptions = None,
    dtype: Dtype = "auto",
) -> None:
    """Extract the vectors of the 171 emotions and 21 reply styles. A stopped run goes on where it was.

    Several machines share the work: each runs `--shard I/N --out FOLDER`, then one of them `--merge FOLDER`
    for each folder, with the same model and options.
    """
    from affekt.concepts import Corpus
    from affekt.engines import open_engine
    from affekt.models import Model
    from affekt.vectors import Recipe
    from affekt.vectors.shelf import shelf

    wanted, share = layer_numbers(layers), share_of(shard)
    if share is not None and (out is None or merge):
        raise typer.BadParameter(
            "a share needs --out, a folder for its sums, and no --merge", param_hint="--shard"
        )
    if out is not None:
        check_writable(out if share is None else out / "state")
    corpora = [Corpus.load(path) for path in corpus] if corpus else None
    recipe, options = Recipe(first_token=first_token), options_of(engine_option)
    with closing(open_engine(engine, model, dtype=dtype, batch_size=TEXTS, options=options)) as runs:
        if share is not None and out is not None:
            make_share(runs, out, share, corpora, wanted, recipe)
            return
        file = out or shelf(runs.identity.name)
        if merge:
            merge_into(file, merge)
        vectors = make_vectors(runs, file, corpora, wanted, recipe)
        opened = runs.model
    if dial:
        # The dial is found by reading replies again and again, for which the model is opened in this process.
        held = opened if isinstance(opened, Model) else open_model(model, dtype)
        set_dial(held, vectors, file, dial)
    typer.echo(f"written to {file}\nnext: affekt check {out or model}")


def layer_numbers(asked: str | None) -> list[int] | None:
    """`"12-14,20"` as layer numbers."""
    if asked is None:
        return None
    numbers: list[int] = []
    for part in asked.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdigit() or (dash and not high.isdigit()):
            raise typer.BadParameter(
                f"{part!r} is not a layer or a range such as 12-20", param_hint="--layers"
            )
        numbers += range(int(low), int(high or low) + 1)
    return numbers


def share_of(asked: str | None) -> tuple[int, int] | None:
    """`"2/4"` as the second of four shares, counted from 0."""
    if asked is None:
        return None
    own, slash, count = asked.partition("/")
    if not slash or not own.isdigit() or not count.isdigit() or not 1 <= int(own) <= int(count):
        raise typer.BadParameter(f"{asked!r} is no share such as 1/4 or 4/4", param_hint="--shard")
    return int(own) - 1, int(count)
