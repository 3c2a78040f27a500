"""The texts that vectors were made of, pooled once more at the read layer, for held-out figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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
from affekt.vectors.extraction import checkpoint_of
from affekt.vectors.gather import gather_corpus, state_of
from affekt.vectors.moments import CellMeans

__all__ = ["Cells", "Training", "gather", "keep", "neutral_components", "trainings"]

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

    @property
    def first_token(self) -> int:
        """First token of a text that was averaged."""
        return int(self.recipe.get("first_token", FIRST_TOKEN))


@dataclass(frozen=True, eq=False)
class Cells:
    """Pooled residuals of a corpus at one layer, a row a concept and a column a cell (mostly one text)."""

    training: Training
    """The corpus."""
    layout: Layout
    """The cell of each topic."""
    means: Float[Tensor, "concepts cells d_model"]
    """Mean of each cell; NaN where it is empty."""
    neutral: Float[Tensor, "d_model components"]
    """The components that the paper's vectors are without."""

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
        checkpoint: where the sums are kept: a stopped pass goes on from where it was, and one that is done,
            or whose sums `keep` has put there, is not run again.
    """
    corpus, cells_of = training.corpus, layout(training.corpus)
    if checkpoint is not None:
        checkpoint = _at_read_layer(checkpoint, vectors, training)
    sums, _ = gather_corpus(
        engine.collect,
        corpus,
        cells_of,
        [vectors.read_layer],
        vectors.provenance.model.d_model,
        content(training.first_token),
        progress,
        checkpoint,
    )
    neutral = neutral_components(vectors, [concept.name for concept in corpus.concepts])
    return Cells(training, cells_of, torch.as_tensor(sums.means(0)), neutral)


def keep(vectors: ConceptVectors, training: Training, run: str | Path, into: Checkpoint) -> None:
    """Take the sums of a corpus over from the extraction of the vectors, so that `gather` need not run it.

    Args:
        vectors: what was extracted.
        training: one of their corpora.
        run: the folder of the extraction's state; without sums of the whole corpus there, nothing is kept.
        into: the checkpoint that `gather` is given.

    Raises:
        StorageError: they cannot be written.
    """
    corpus, cells_of, model = training.corpus, layout(training.corpus), vectors.provenance.model
    state = checkpoint_of(run, model, vectors.layers, training.first_token)
    size = len(corpus.concepts), len(cells_of.forms), len(vectors.layers), model.d_model
    like = {**CellMeans.empty(*size).state(), "short": torch.zeros(1, dtype=torch.long)}
    sums, done = state_of(state, corpus, cells_of).load(corpus.name, like)
    if len(done) < len(corpus):
        return
    at = vectors.layers.index(vectors.read_layer)
    sums["sums"] = sums["sums"][:, :, at : at + 1].contiguous()
    own = state_of(_at_read_layer(into, vectors, training), corpus, cells_of)
    own.save(corpus.name, sums, done, now=True)


def neutral_components(vectors: ConceptVectors, names: Sequence[str]) -> Float[Tensor, "d_model components"]:
    """The neutral components that `projected` lacks: what spans its difference to `raw`."""
    at, rows = vectors.place(vectors.read_layer), [vectors.index(name) for name in names]
    gone = (vectors.raw[at, rows] - vectors.projected[at, rows]).double()
    _, size, basis = torch.linalg.svd(gone, full_matrices=False)
    kept = size > 1e-4 * float(vectors.raw[at, rows].norm())
    spanned: Tensor = basis[kept].T.float()
    return spanned


def _at_read_layer(checkpoint: Checkpoint, vectors: ConceptVectors, training: Training) -> Checkpoint:
    model = vectors.provenance.model
    about = ["check", model.weights_sha256, model.dtype, vectors.read_layer, training.first_token]
    return checkpoint.about(about)
