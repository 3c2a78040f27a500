"""`affekt check`: the quality card of a set of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.cli.options import Dtype
from affekt.cli.session import open_model
from affekt.progress import progress_bar

if TYPE_CHECKING:
    from affekt.vectors import ConceptVectors

__all__ = ["check"]


def check(
    target: Annotated[
        str,
        typer.Argument(metavar="MODEL|VECTORS", help="A model whose vectors are kept, or a vectors file."),
    ],
    only: Annotated[str | None, typer.Option(help="Sections, such as forms,lens; by default all.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out what takes a pass over the corpus or replies.")
    ] = False,
    corpus: Annotated[
        list[Path] | None, typer.Option(help="The corpus of the vectors, where it is one of your own.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model of a vectors file, where its name has changed.")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Also write the card as Markdown.")] = None,
    dtype: Dtype = "auto",
) -> None:
    """Measure what vectors are worth: figures with n and interval, beside text-only and random controls.

    The card is kept in the vectors file, section by section; a stopped run goes on where it was.
    """
    from rich.console import Console

    from affekt.atomic import write_text
    from affekt.concepts import Corpus
    from affekt.engines import TransformersEngine
    from affekt.quality import check as run
    from affekt.quality import markdown, render
    from affekt.quality.card import wanted
    from affekt.quality.keeping import cells_folder

    sections = [part.strip() for part in only.split(",")] if only else []
    keys = wanted(sections, quick)
    corpora = [Corpus.load(path) for path in corpus or ()]
    file, vectors = _vectors(target)
    opened = open_model(model or vectors.provenance.model.name, dtype)
    vectors.require(opened.identity)
    with progress_bar("in all") as progress:
        measured = run(
            lambda held: TransformersEngine(opened, held),
            vectors,
            model=opened,
            corpora=corpora,
            only=sections,
            quick=quick,
            progress=progress,
            resume=cells_folder(file),
        )
        for so_far in measured:
            so_far.save(file)
            vectors = so_far
    render(vectors, keys, Console())
    if page is not None:
        write_text(page, markdown(vectors))
    typer.echo(f"\nthe card is kept in {file}" + (f" and written to {page}" if page is not None else ""))


def _vectors(target: str) -> tuple[Path, ConceptVectors]:
    """A vectors file, or the one kept for a model, and what is in it.

    Raises:
        VectorsError: there is neither.
    """
    from affekt.errors import VectorsError
    from affekt.vectors import ConceptVectors
    from affekt.vectors.shelf import shelf

    file = Path(target)
    if file.suffix != ".safetensors":
        file = shelf(target)
        if not file.exists():
            raise VectorsError(f"no vectors for {target} yet; make them once with: affekt extract {target}")
    return file, ConceptVectors.load(file)
