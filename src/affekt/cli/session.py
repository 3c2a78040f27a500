"""A model and its vectors, opened for a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from affekt.engines import TransformersEngine
    from affekt.models import Model
    from affekt.vectors import ConceptVectors

__all__ = ["open_model", "open_session", "vectors_for"]


def open_model(name: str, dtype: str = "auto") -> Model:
    """Open a model, fetching and converting it first where that was not done yet."""
    from affekt.models import load

    return load(name, dtype=dtype)


def open_session(
    name: str, vectors: Path | None, dtype: str = "auto"
) -> tuple[Model, ConceptVectors, TransformersEngine]:
    """A model with its vectors.

    Raises:
        VectorsError: there are no vectors yet (the message has the command that makes them), or they belong
            to another model.
    """
    from affekt.engines import TransformersEngine

    held = vectors_for(name, vectors)
    model = open_model(name, dtype)
    return model, held, TransformersEngine(model, held)


def vectors_for(name: str, file: Path | None) -> ConceptVectors:
    """The vectors of a file, or those kept for a model, which is found and not opened.

    Raises:
        VectorsError: there are none; the message has the command that makes them.
    """
    from affekt.errors import VectorsError
    from affekt.models.variant import split_variant
    from affekt.models.weights import resolve
    from affekt.vectors import load_vectors
    from affekt.vectors.shelf import shelf

    if file is not None:
        return load_vectors(file)
    plain, variant = split_variant(name)
    own = resolve(plain).name
    kept = shelf(f"{own}@{variant}" if variant else own)
    if not kept.exists():
        raise VectorsError(f"no vectors for {name} yet; make them once with: affekt extract {name}")
    return load_vectors(kept)
