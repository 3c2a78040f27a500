"""`affekt extract`: the vectors of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from affekt.cli.making import make_vectors, set_dial
from affekt.cli.options import Dtype, ModelName
from affekt.cli.session import open_model

__all__ = ["extract"]


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
    dtype: Dtype = "auto",
) -> None:
    """Extract the vectors of the 171 emotions and 21 reply styles. A stopped run goes on where it was."""
    from affekt.concepts import Corpus
    from affekt.vectors import Recipe
    from affekt.vectors.shelf import shelf

    wanted = layer_numbers(layers)
    corpora = [Corpus.load(path) for path in corpus] if corpus else None
    opened = open_model(model, dtype)
    file = out or shelf(opened.identity.name)
    vectors = make_vectors(opened, file, corpora, wanted, Recipe(first_token=first_token))
    if dial:
        set_dial(opened, vectors, file, dial)
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
