"""From an opened model to a vectors file with a calibrated dial; the stages of `affekt extract`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affekt.progress import progress_bar

if TYPE_CHECKING:
    from affekt.concepts import Corpus
    from affekt.engines import AnyEngine
    from affekt.models import Model
    from affekt.vectors import ConceptVectors, Recipe

__all__ = ["make_share", "make_vectors", "merge_into", "set_dial"]


def make_vectors(
    engine: AnyEngine,
    file: Path,
    corpora: Sequence[Corpus] | None = None,
    layers: Sequence[int] | None = None,
    recipe: Recipe | None = None,
) -> ConceptVectors:
    """Extract and keep, and say what was found."""
    from affekt.quality import extract_to

    started = time.monotonic()
    try:
        with progress_bar() as progress:
            vectors = extract_to(file, engine, corpora, layers, recipe, progress)
    except KeyboardInterrupt:
        typer.echo("stopped; what was finished is kept, and the same command goes on from there", err=True)
        raise
    typer.echo(
        f"{len(vectors.concepts)} concepts at layers {vectors.layers[0]}-{vectors.layers[-1]} of "
        f"{engine.model.identity.n_layers}, read at layer {vectors.read_layer}; "
        f"{time.monotonic() - started:.0f} s"
    )
    return vectors


def make_share(
    engine: AnyEngine,
    folder: Path,
    share: tuple[int, int],
    corpora: Sequence[Corpus] | None,
    layers: Sequence[int] | None,
    recipe: Recipe,
) -> None:
    """Run one worker's share of an extraction; its sums stay in the folder, also when it is stopped."""
    from affekt.vectors.extraction import extract_share

    identity = engine.model.identity
    try:
        with progress_bar() as progress:
            extract_share(engine.collect, identity, folder, share, corpora, layers, recipe, progress)
    except KeyboardInterrupt:
        typer.echo("stopped; what was finished is kept, and the same command goes on from there", err=True)
        raise
    typer.echo(
        f"share {share[0] + 1} of {share[1]} is in {folder}; next: affekt extract … --merge {folder} …"
    )


def merge_into(file: Path, shares: Sequence[Path]) -> None:
    """Put shares together as the state from which the vectors of `file` go on, unless there is one."""
    from affekt.vectors.sharing import merge_shares

    parts = file.with_suffix(".parts")
    if any(parts.glob("*.sums")):
        typer.echo(
            f"{parts} holds a run that was stopped; it goes on, and no share is merged again", err=True
        )
        return
    typer.echo(f"{merge_shares(shares, parts):,} texts of {len(shares)} shares")


def set_dial(model: Model, vectors: ConceptVectors, file: Path, measured: int) -> ConceptVectors:
    """Calibrate the dial on a sample of concepts, keep the doses with the vectors and say what they are."""
    from affekt.quality import dial_to

    with progress_bar("steps") as progress:
        dialled = dial_to(file, model, vectors, measured, progress)
    typer.echo(
        f"dial 1 is a dose of {float(dialled.doses.min()):.2f} to {float(dialled.doses.max()):.2f} mean "
        f"residual norms, measured on {measured} concepts"
    )
    return dialled
