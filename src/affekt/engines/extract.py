"""Extraction with an opened model: the vectors' recipe on the transformers engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affekt.concepts import Corpus
from affekt.engines.engine import Engine, Opened
from affekt.engines.transformers import TransformersEngine
from affekt.errors import VectorsError
from affekt.models.model import Model
from affekt.progress import Progress
from affekt.vectors import ConceptVectors, Recipe
from affekt.vectors import extract as run

__all__ = ["extract"]


def extract(
    model: Model | Opened,
    corpus: Corpus | Sequence[Corpus] | None = None,
    *,
    layers: Sequence[int] | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    resume: str | Path | None = None,
    engine: Engine | None = None,
) -> ConceptVectors:
    """Extract a direction for every concept of a corpus (default: the 171 emotions and 21 reply styles).

    Args:
        model: the opened model.
        corpus: one corpus or several whose concepts differ.
        layers: layers to keep, from 0; by default candidates around two thirds of depth.
        recipe: the choices of the method (paper section 2.3).
        progress: called with stage, characters done and characters in all.
        resume: folder for the state of the run; a stopped run goes on from there. It stays until
            `Checkpoint(resume).clear()`, to be called when the vectors are saved.
        engine: what runs the model; by default the transformers engine, which needs an opened `Model`.

    Raises:
        CorpusError: a corpus leaves some concept without a usable text.
        VectorsError: a layer that the model does not have.
    """
    corpora = [corpus] if isinstance(corpus, Corpus) else corpus
    if engine is None:
        if not isinstance(model, Model):
            raise VectorsError("a model that is not opened in this process needs engine=")
        engine = TransformersEngine(model)
    return run(engine.collect, model.identity, corpora, layers, recipe, progress, resume)
