"""From corpora and a running model to concept vectors (paper section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import reduce
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from affekt.concepts import Corpus
from affekt.concepts.shipped import stories, traits
from affekt.errors import CorpusError, VectorsError
from affekt.models.model import Identity
from affekt.progress import Progress
from affekt.vectors.assembly import assemble, fit
from affekt.vectors.cells import Layout, layout
from affekt.vectors.checkpoint import Checkpoint
from affekt.vectors.collect import Collect, content
from affekt.vectors.conceptvectors import ConceptVectors
from affekt.vectors.directions import comparable, top_components
from affekt.vectors.gather import Share, gather_corpus
from affekt.vectors.recipe import Recipe, candidate_layers
from affekt.vectors.references import gather_neutral, gather_references
from affekt.version import __version__

__all__ = ["Recipe", "candidate_layers", "checkpoint_of", "extract", "extract_share"]


def extract(
    collect: Collect,
    model: Identity,
    corpora: Sequence[Corpus] | None = None,
    layers: Sequence[int] | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    resume: str | Path | None = None,
) -> ConceptVectors:
    """Extract a direction for every concept of the corpora (default: the 171 emotions and 21 reply styles).

    Args:
        collect: runs texts through the model, see `Collect`.
        model: identity of that model.
        corpora: corpora whose concepts differ; concepts are compared within their corpus.
        layers: layers to keep; by default the candidates of `recipe.band`.
        recipe: the choices of the method.
        progress: called as the work goes on.
        resume: folder for the state of the run; with it a stopped run goes on from where it was. The state
            stays until `Checkpoint(resume).clear()`, to be called when the vectors are saved.

    Raises:
        CorpusError: a corpus leaves some concept without a usable text, or has nothing to compare it with.
        VectorsError: a layer that the model does not have, or residuals that are not finite.
        StorageError: the state of the run cannot be written.
    """
    recipe = recipe or Recipe()
    corpora, layouts, kept = _prepared(model, corpora, layers, recipe)
    checkpoint = checkpoint_of(resume, model, kept, recipe.first_token) if resume is not None else None
    neutral = gather_neutral(collect, kept, model.d_model, progress, checkpoint)
    norms = neutral.mean_norm()
    bases = [top_components(neutral.covariance(at), recipe.neutral_share) for at in range(len(kept))]
    del neutral
    fitted = []
    for corpus, cells_of in zip(corpora, layouts, strict=True):
        cells, short = gather_corpus(
            collect, corpus, cells_of, kept, model.d_model, content(recipe.first_token), progress, checkpoint
        )
        _check_gathered(corpus, cells.counts > 0, short, recipe.first_token)
        fitted.append(fit(cells, cells_of, bases, kept, model.n_layers, recipe))
    if checkpoint is not None:
        checkpoint = checkpoint.about(corpus.hash for corpus in corpora)
    weight = torch.cat([each.weight for each in fitted], dim=1)
    references = gather_references(collect, kept, weight, progress, checkpoint)
    sets, start = [], 0
    for corpus, each in zip(corpora, fitted, strict=True):
        columns = slice(start, start := start + len(corpus.concepts))
        sets.append(assemble(each, references, columns, norms, corpus, model, kept, recipe))
    return reduce(ConceptVectors.join, sets)


def extract_share(
    collect: Collect,
    model: Identity,
    folder: str | Path,
    share: Share,
    corpora: Sequence[Corpus] | None = None,
    layers: Sequence[int] | None = None,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> None:
    """One worker's share of the texts of an extraction, for `sharing.merge_shares`.

    Neutral dialogues and corpora are shared out; the reference texts need all of them first, and are run by
    the `extract` that goes on from the merged state.

    Args:
        collect: runs texts through the model.
        model: identity of that model.
        folder: where the share's state is kept, one folder a share; a stopped share goes on from there.
        share: which of how many.
        corpora: see `extract`, as are the others; the same for every share.
        layers: layers to keep.
        recipe: the choices of the method.
        progress: called as the work goes on.

    Raises:
        CorpusError: as `extract`.
        VectorsError: as `extract`, or for a share that is not there.
        StorageError: the state cannot be written.
    """
    if not 0 <= share[0] < share[1]:
        raise VectorsError(f"share {share[0] + 1} of {share[1]}: give 1 to {max(share[1], 1)}")
    recipe = recipe or Recipe()
    corpora, layouts, kept = _prepared(model, corpora, layers, recipe)
    checkpoint = checkpoint_of(folder, model, kept, recipe.first_token)
    gather_neutral(collect, kept, model.d_model, progress, checkpoint, share)
    pick = content(recipe.first_token)
    for corpus, cells_of in zip(corpora, layouts, strict=True):
        gather_corpus(collect, corpus, cells_of, kept, model.d_model, pick, progress, checkpoint, share)


def _prepared(
    model: Identity, corpora: Sequence[Corpus] | None, layers: Sequence[int] | None, recipe: Recipe
) -> tuple[list[Corpus], list[Layout], tuple[int, ...]]:
    """The corpora and their layouts, checked, and the layers to keep."""
    chosen = list(corpora) if corpora is not None else [stories(), traits()]
    kept = _checked_layers(model, layers, recipe)
    layouts = [layout(corpus) for corpus in chosen]
    _check(chosen, layouts)
    return chosen, layouts, kept


def checkpoint_of(folder: str | Path, model: Identity, layers: Sequence[int], first_token: int) -> Checkpoint:
    """Where an extraction keeps its sums while it runs."""
    about = [__version__, asdict(replace(model, name="")), list(layers), first_token]
    return Checkpoint(Path(folder)).about(about)


def _checked_layers(model: Identity, layers: Sequence[int] | None, recipe: Recipe) -> tuple[int, ...]:
    if layers is None:
        return candidate_layers(model.n_layers, recipe.band)
    kept = tuple(sorted(set(layers)))
    if not kept or kept[0] < 0 or kept[-1] >= model.n_layers:
        asked = list(kept) if kept else "no layers"
        raise VectorsError(f"{asked} asked for; {model.name} has the layers 0 to {model.n_layers - 1}")
    return kept


def _check(corpora: Sequence[Corpus], layouts: Sequence[Layout]) -> None:
    """Find what would fail after hours before the first text is run."""
    if not corpora:
        raise CorpusError("no corpus; leave it out for the shipped ones")
    owner: dict[str, str] = {}
    for corpus, cells_of in zip(corpora, layouts, strict=True):
        if not corpus.texts:
            raise CorpusError(f"{corpus.name} holds no text")
        if len(corpus.concepts) < 2:
            raise CorpusError(
                f"{corpus.name} holds the one concept {corpus.concepts[0].name!r}; a vector is a difference, "
                "so give texts of at least one more"
            )
        for concept in corpus.concepts:
            if concept.name in owner:
                raise CorpusError(
                    f"{concept.name!r} is in {owner[concept.name]} and in {corpus.name}; load both as one"
                )
            owner[concept.name] = corpus.name
        place = {concept.name: at for at, concept in enumerate(corpus.concepts)}
        filled = torch.zeros(len(place), len(cells_of.forms), dtype=torch.bool)
        for text in corpus:
            filled[place[text.concept], cells_of.of[text.form, text.topic]] = True
        _check_comparable(corpus, filled)


def _check_gathered(corpus: Corpus, filled: Bool[Tensor, "concepts cells"], short: int, first: int) -> None:
    empty = [
        concept.name for concept, any_cell in zip(corpus.concepts, filled.any(1), strict=True) if not any_cell
    ]
    if empty:
        more = f" (and of {len(empty) - 1} more)" if len(empty) > 1 else ""
        raise CorpusError(
            f"{corpus.name}: no text of {empty[0]!r}{more} is longer than {first} tokens ({short} of "
            f"{len(corpus)} texts are too short); average from an earlier token (first_token) or give longer "
            "texts"
        )
    _check_comparable(corpus, filled)


def _check_comparable(corpus: Corpus, filled: Bool[Tensor, "concepts cells"]) -> None:
    for concept, shares in zip(corpus.concepts, comparable(filled).any(1).tolist(), strict=True):
        if not shares:
            raise CorpusError(
                f"{corpus.name}: {concept.name!r} shares no topic (of one form) with another concept; give "
                "concepts texts on the same topics, or one topic to all where topics do not matter"
            )
