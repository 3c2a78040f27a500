"""The vectors of a model: made once, kept, and found again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from affekt.atomic import check_writable
from affekt.concepts import Corpus
from affekt.engines import AnyEngine, TransformersEngine, extract
from affekt.errors import StorageError, VectorsError
from affekt.models import Model
from affekt.progress import Progress, progress_bar
from affekt.quality.cells import keep, trainings
from affekt.quality.dial import calibrate_dial
from affekt.vectors import Checkpoint, ConceptVectors, Recipe, load_vectors, save_vectors
from affekt.vectors.shelf import shelf

__all__ = ["cells_folder", "concept_vectors", "dial_to", "extract_to"]

MEASURED = 8
"""Concepts on which a dial is calibrated unless another number is asked for."""


def concept_vectors(model: Model, file: str | Path | None = None) -> ConceptVectors:
    """The vectors of the 171 emotions and 21 reply styles of a model, with a calibrated dial.

    The first call extracts them from the shipped corpora, which takes a while and shows how far it is (stop
    it, and the next call goes on from there), calibrates the dial and keeps them; later calls open the file.
    `extract` takes another corpus, other layers and other choices.

    Args:
        model: the opened model.
        file: where they are kept; unless given, where the commands keep and look for them too.

    Raises:
        VectorsError: the file holds the vectors of another model, or is damaged.
        StorageError: the file cannot be written; nothing has been run.
    """
    kept = Path(file) if file is not None else shelf(model.identity.name)
    if kept.exists():
        vectors = load_vectors(kept)
        vectors.require(model.identity)
    else:
        with progress_bar() as progress:
            vectors = extract_to(kept, TransformersEngine(model), progress=progress)
    if bool(vectors.doses.isnan().all()):
        with progress_bar("steps") as progress:
            vectors = dial_to(kept, model, vectors, progress=progress)
    return vectors


def extract_to(
    file: str | Path,
    engine: AnyEngine,
    corpora: Sequence[Corpus] | None = None,
    layers: Sequence[int] | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> ConceptVectors:
    """Extract and keep in a file.

    A run that was stopped goes on from the state beside the file, which goes when the file is written; what
    the quality card needs of it stays in `cells_folder`. The other arguments are those of `extract`.

    Raises:
        CorpusError: as `extract`.
        VectorsError: as `extract`, or the file holds the vectors of other weights.
        StorageError: the file cannot be written; nothing has been run.
    """
    file = Path(file)
    check_writable(file)
    _not_anothers(file, engine)
    parts = file.with_suffix(".parts")
    if parts.exists():
        check_writable(parts / "state")
    vectors = extract(
        engine.model, corpora, layers=layers, recipe=recipe, progress=progress, resume=parts, engine=engine
    )
    save_vectors(vectors, file)
    cells = Checkpoint(cells_folder(file))
    cells.clear()
    # They only save the quality card a pass, which it makes itself where there was no room for them.
    with suppress(StorageError):
        for training in trainings(vectors, corpora or ()):
            keep(vectors, training, parts, cells)
    Checkpoint(parts).clear()
    return vectors


def _not_anothers(file: Path, engine: AnyEngine) -> None:
    """Files are named after models, and two checkpoints may be called alike."""
    kept = None
    if file.exists():
        with suppress(VectorsError):  # what is damaged may go
            kept = load_vectors(file).provenance.model
    if kept is not None and kept.weights_sha256 != engine.model.identity.weights_sha256:
        raise VectorsError(
            f"{file} holds the vectors of other weights (of {kept.name}, {kept.weights_sha256[:12]}); give "
            "another file (--out), or remove that one"
        )


def cells_folder(file: Path) -> Path:
    """Where the pooled texts of a vectors file are kept beside it, for the quality card."""
    return file.with_suffix(".cells")


def dial_to(
    file: str | Path,
    model: Model,
    vectors: ConceptVectors,
    measured: int = MEASURED,
    progress: Progress | None = None,
) -> ConceptVectors:
    """Calibrate the dial and keep it with the vectors in a file; the arguments are those of `calibrate_dial`.

    Raises:
        CalibrationError: as `calibrate_dial`.
        StorageError: the file cannot be written.
    """
    engine = TransformersEngine(model, vectors)
    dialled = calibrate_dial(engine, vectors, measured=measured, progress=progress)
    save_vectors(dialled, file)
    return dialled
