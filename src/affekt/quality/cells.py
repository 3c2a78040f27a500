"""The texts that vectors were made of, pooled once more at the read layer, for held-out figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.concepts import Corpus
from affekt.concepts.shipped import stories, traits
from affekt.engines.engine import Engine
from affekt.errors import CorpusError
from affekt.progress import Progress
from affekt.vectors.cells import Layout, layout
from affekt.vectors.checkpoint import Checkpoint
from affekt.vectors.collect import content
from affekt.vectors.conceptvectors import ConceptVectors
from affekt.vectors.gather import gather_corpus

__all__ = ["Cells", "Training", "gather", "trainings"]

FIRST_TOKEN = 50
"""Of vectors whose recipe does not say."""


@dataclass(frozen=True)
class Training:
    """A corpus that vectors were made of, and how."""

    corpus: Corpus
    """The texts."""
    recipe: Mapping[str, Any]
    """The choices of its extraction."""

    @property
    def shrinkage(self) -> float | None:
        """Of the discriminant that reads; None for plain vectors."""
        value = self.recipe.get("read_shrinkage")
        return None if value is None else float(value)


@dataclass(frozen=True, eq=False)
class Cells:
    """Pooled residuals of a corpus at one layer, a row a concept and a column a cell (mostly one text)."""

    training: Training
    """The corpus."""
    layout: Layout
    """The cell of each topic."""
    means: Float[Tensor, "concepts cells d_model"]
    """Mean of each cell; NaN where it is empty."""

    @property
    def names(self) -> tuple[str, ...]:
        """The concepts' words, in the order of `means`."""
        return tuple(concept.name for concept in self.training.corpus.concepts)


def trainings(vectors: ConceptVectors, given: Sequence[Corpus] = ()) -> list[Training]:
    """The corpora of a set of vectors that are at hand: those given, and the shipped ones.

    Raises:
        CorpusError: a corpus was given that the vectors were not made of.
    """
    provenance = vectors.provenance
    recipes = [provenance.recipe, *provenance.recipe.get("joined", ())]
    recipe_of = dict(zip(provenance.corpus.values(), recipes, strict=False))
    for corpus in given:
        if corpus.hash not in recipe_of:
            known = (
                ", ".join(f"{name} ({digest[:8]})" for name, digest in provenance.corpus.items()) or "none"
            )
            raise CorpusError(
                f"{corpus.name} ({corpus.hash[:8]}) is not what these vectors were made of; that was {known}"
            )
    at_hand = {corpus.hash: corpus for corpus in (stories(), traits(), *given)}
    return [Training(at_hand[digest], own) for digest, own in recipe_of.items() if digest in at_hand]


def gather(
    engine: Engine,
    vectors: ConceptVectors,
    training: Training,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Cells:
    """Run a corpus through the model up to the read layer, pooled as the extraction pooled it.

    Args:
        engine: runs the model of the vectors.
        vectors: their read layer is where the texts are pooled.
        training: the corpus.
        progress: called as the work goes on.
        checkpoint: where the state is kept, so that a stopped pass goes on from where it was.
    """
    corpus, cells_of = training.corpus, layout(training.corpus)
    model, layer = vectors.provenance.model, vectors.read_layer
    first = int(training.recipe.get("first_token", FIRST_TOKEN))
    if checkpoint is not None:
        checkpoint = checkpoint.about(["check", model.weights_sha256, model.dtype, layer, first])
    sums, _ = gather_corpus(
        engine.collect, corpus, cells_of, [layer], model.d_model, content(first), progress, checkpoint
    )
    return Cells(training, cells_of, torch.as_tensor(sums.means(0)))
