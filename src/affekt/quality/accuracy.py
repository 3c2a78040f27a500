"""Is the right concept read from texts that had no part in the vectors, and better than by words alone?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from affekt.concepts import words
from affekt.quality.bootstrap import gain, share
from affekt.quality.cells import Cells
from affekt.quality.figure import Figure
from affekt.quality.hits import TOPS, Hits, compare, hits_of
from affekt.quality.section import Cell, Section, unmeasured
from affekt.vectors.directions import balanced, comparable, noise, remove, unit

__all__ = ["COLUMNS", "TITLE", "Fold", "forms", "left_out", "says"]

TITLE = "Does it name the right concept on a form it has not seen?"

COLUMNS = tuple(f"{head} top-{k}" for k in TOPS for head in ("vectors", "words", "difference"))
"""Heads of the figures that `compare` gives."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Cells that were left out, scored by vectors and by words from all the others."""

    name: str
    """The form left out, or which topics."""
    concepts: tuple[str, ...]
    """The concept of each held-out cell."""
    truth: Int[np.ndarray, " rows"]
    """Its column in the scores."""
    vectors: Float[np.ndarray, "rows concepts"]
    """Product with the read-out weights of the others."""
    words: Float[np.ndarray, "rows concepts"]
    """Scores of the text-only baseline."""
    words_centred: Float[np.ndarray, "rows concepts"]
    """The same, centred over the held-out cells of each topic as the residuals are."""


def forms(cells: Cells) -> Section:
    """Top-1 and top-5 among a corpus's concepts with each form left out in turn, beside the words alone."""
    corpus, kinds = cells.training.corpus, len(cells.names)
    folds = left_out(cells)
    if not folds:
        return unmeasured(TITLE, "the corpus has only one topic, so none can be left out")
    plain = [hits_of(fold.words, fold.truth) for fold in folds]
    centred = [hits_of(fold.words_centred, fold.truth) for fold in folds]
    stronger = max((plain, centred), key=lambda hits: sum(each.total for each in hits))
    model = [hits_of(fold.vectors, fold.truth) for fold in folds]
    rows: list[tuple[Cell, ...]] = []
    for fold, one, other in zip(folds, model, stronger, strict=True):
        of = "texts" if len(set(fold.concepts)) == len(fold.concepts) else "texts, drawn by concept"
        rows.append((fold.name, *compare(one, other, of, fold.concepts)))
    mean = _over_folds(folds, model, stronger)
    rows.append(("mean over those left out", *mean))
    given = "centred per topic, as the residuals are" if stronger is centred else "as it comes"
    return Section(
        f"{TITLE} ({kinds} {corpus.name})",
        says("a form that was left out", mean[2], mean[5]),
        ("left out", *COLUMNS),
        tuple(rows),
        (
            "Each row: vectors and read-out are fitted on all other texts and asked about those left "
            "out, and so is the text-only baseline (TF-IDF centroids of words and of characters).",
            f"The baseline is {given}, which is the stronger of the two.",
            f"By chance top-1 is {1 / kinds:.3f}, top-5 {min(1, 5 / kinds):.3f}. The read layer and the "
            "read-out's shrinkage were chosen on these same forms; the implicit prompts had no part in "
            "that choice.",
        ),
        {"chance": [k / kinds for k in TOPS], "baseline": given},
    )


def says(where: str, top1: Figure, top5: Figure) -> str:
    """The verdict on the differences to the words alone."""
    gains = [k for k, figure in zip(TOPS, (top1, top5), strict=True) if figure.low > 0]
    losses = [k for k, figure in zip(TOPS, (top1, top5), strict=True) if figure.high < 0]
    if gains and not losses:
        return (
            f"On {where} the vectors tell more than the words alone "
            f"(top-{' and top-'.join(map(str, gains))})."
        )
    if losses and not gains:
        return (
            f"On {where} the vectors tell LESS than the words alone "
            f"(top-{' and top-'.join(map(str, losses))})."
        )
    return f"On {where} no difference to the words alone is shown; the accuracy itself proves nothing."


def left_out(cells: Cells) -> list[Fold]:
    """Leave each form out in turn (each set of topics where there are fewer than three forms)."""
    by_form = len(set(cells.layout.forms)) >= 3
    folds = []
    for number, held in enumerate(cells.layout.folds(), start=1):
        kept = [c for c in range(cells.means.shape[1]) if c not in set(held)]
        filled = ~cells.means[..., 0].isnan()
        known = comparable(filled[:, kept]).any(1)
        there = comparable(filled[known][:, held])
        if int(known.sum()) < 2 or not bool(there.any()):
            continue
        name = cells.layout.forms[held[0]] if by_form else f"topics, part {number}"
        folds.append(_fold(cells, name, held, kept, known, there))
    return folds


def _fold(
    cells: Cells, name: str, held: Sequence[int], kept: Sequence[int], known: Tensor, there: Tensor
) -> Fold:
    names = [word for word, is_known in zip(cells.names, known.tolist(), strict=True) if is_known]
    vectors, scatter = balanced(cells.means[known][:, list(kept)])
    shrinkage = cells.training.shrinkage
    weights = unit(
        remove(vectors, cells.neutral)
        if shrinkage is None
        else noise(scatter).power(vectors, -1.0, shrinkage)
    )
    test = cells.means[known][:, list(held)]
    test = test.where(there[..., None], torch.nan)
    centred = test - test.nanmean(0, keepdim=True)
    truth = torch.arange(len(test))[:, None].expand_as(there)[there].numpy()
    by_words = _by_words(cells, names, held)
    by_words[~there.numpy()] = np.nan
    return Fold(
        name,
        tuple(names[row] for row in truth),
        truth,
        (centred[there] @ weights.T).double().numpy(),
        by_words[there.numpy()],
        (by_words - np.nanmean(by_words, axis=0, keepdims=True))[there.numpy()],
    )


def _by_words(
    cells: Cells, names: Sequence[str], held: Sequence[int]
) -> Float[np.ndarray, "concepts cells columns"]:
    """Mean score of each held-out cell's texts by a baseline fitted on the others; NaN for empty ones."""
    corpus = cells.training.corpus
    column, row = {cell: at for at, cell in enumerate(held)}, {name: at for at, name in enumerate(names)}
    cell_of = [cells.layout.of[text.form, text.topic] for text in corpus]
    out = [(t, c) for t, c in zip(corpus, cell_of, strict=True) if c in column and t.concept in row]
    rest = tuple(t for t, c in zip(corpus, cell_of, strict=True) if c not in column and t.concept in row)
    baseline = words.fit(replace(corpus, texts=rest))
    order = [baseline.concepts.index(name) for name in names]
    scores = baseline.scores([text.body for text, _ in out])[:, order]
    sums, counts = np.zeros((len(names), len(held), len(names))), np.zeros((len(names), len(held), 1))
    for (text, cell), score in zip(out, scores, strict=True):
        sums[row[text.concept], column[cell]] += score
        counts[row[text.concept], column[cell]] += 1
    with np.errstate(invalid="ignore"):
        means: Float[np.ndarray, "concepts cells columns"] = sums / counts
    return means


def _over_folds(folds: Sequence[Fold], model: Sequence[Hits], other: Sequence[Hits]) -> tuple[Figure, ...]:
    """The figures of `compare` with every fold of equal weight; the interval is over concepts."""
    names = sorted({concept for fold in folds for concept in fold.concepts})
    figures: list[Figure] = []
    of = f"concepts, each over {len(folds)} left out"
    for k in TOPS:
        one, two = (np.array([_mean(folds, each, name, k) for name in names]) for each in (model, other))
        figures += [share(one, of), share(two, of), gain(one, two, of)]
    return tuple(figures)


def _mean(folds: Sequence[Fold], hits: Sequence[Hits], name: str, k: int) -> float:
    parts = [each.at[k][np.array(fold.concepts) == name] for fold, each in zip(folds, hits, strict=True)]
    return float(np.mean([part.mean() for part in parts if len(part)]))
