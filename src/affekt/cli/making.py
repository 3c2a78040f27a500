"""From an opened model to a vectors file with a calibrated dial; what `extract` and `demo` share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from affekt.cli.session import progress_bar

if TYPE_CHECKING:
    from affekt.concepts import Corpus
    from affekt.models import Model
    from affekt.vectors import ConceptVectors, Recipe

__all__ = ["make_vectors", "set_dial"]


def make_vectors(
    model: Model,
    file: Path,
    corpora: Sequence[Corpus] | None = None,
    layers: Sequence[int] | None = None,
    recipe: Recipe | None = None,
) -> ConceptVectors:
    """Extract and keep; a run that was stopped goes on from where it was, and its state goes when the file is
    written."""
    from affekt.engines import extract
    from affekt.vectors import Checkpoint, save_vectors

    parts = file.with_suffix(".parts")
    started = time.monotonic()
    try:
        with progress_bar() as progress:
            vectors = extract(model, corpora, layers=layers, recipe=recipe, progress=progress, resume=parts)
    except KeyboardInterrupt:
        typer.echo("stopped; what was finished is kept, and the same command goes on from there", err=True)
        raise
    save_vectors(vectors, file)
    Checkpoint(parts).clear()
    typer.echo(
        f"{len(vectors.concepts)} concepts at layers {vectors.layers[0]}-{vectors.layers[-1]} of "
        f"{model.identity.n_layers}, read at layer {vectors.read_layer}; {time.monotonic() - started:.0f} s"
    )
    return vectors


def set_dial(model: Model, vectors: ConceptVectors, file: Path, measured: int) -> ConceptVectors:
    """Calibrate the dial on a sample of concepts and keep the doses with the vectors."""
    from affekt.engines import TransformersEngine
    from affekt.quality import calibrate_dial
    from affekt.vectors import save_vectors

    with progress_bar("steps") as progress:
        dialled = calibrate_dial(
            TransformersEngine(model, vectors), vectors, measured=measured, progress=progress
        )
    save_vectors(dialled, file)
    typer.echo(
        f"dial 1 is a dose of {float(dialled.doses.min()):.2f} to {float(dialled.doses.max()):.2f} mean "
        f"residual norms, measured on {measured} concepts"
    )
    return dialled
