"""Does a vector, seen through the model's vocabulary, point at its own word? The logit lens."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from affekt.quality.bootstrap import share, statistic
from affekt.quality.figure import Figure
from affekt.quality.section import Cell, Section, unmeasured
from affekt.quality.unembedding import Unembedding
from affekt.steering.control import random_directions
from affekt.vectors.conceptvectors import VARIANTS, ConceptVectors

__all__ = ["TITLE", "lens", "ranks"]

TITLE = "Does a vector point at its own word?"

TOPS = (10, 100)
"""Ranks that count as near the top."""

RANDOM = 20
"""Random directions."""

SHOWN = 5
"""Highest tokens of each vector that are kept (paper table 1)."""


def lens(
    vectors: ConceptVectors,
    through: Unembedding | None,
    layer: int | None = None,
    random: int = RANDOM,
    seed: int = 0,
) -> Section:
    """Rank of the own word's first token among all tokens by direct effect, beside random directions (paper
    3.2).

    Args:
        vectors: emotions are looked at, in every variant.
        through: the model's final norm and unembedding; None where the engine does not show them.
        layer: by default the read layer.
        random: directions of the control arm.
        seed: of their draw.
    """
    emotions = [i for i, concept in enumerate(vectors.concepts) if concept.kind == "emotion"]
    if through is None:
        return unmeasured(TITLE, "this engine does not show the model's unembedding")
    if not emotions:
        return unmeasured(TITLE, "the vectors hold no emotion")
    words = [vectors.names[i] for i in emotions]
    own = torch.tensor([through.first_token(word) for word in words])
    size = len(through.matrix)
    arms: dict[str, Tensor] = {name: vectors.directions(layer, name)[emotions] for name in VARIANTS}
    drawn = random_directions(random, vectors.provenance.model.d_model, seed)
    rows: list[tuple[Cell, ...]] = []
    data: dict[str, object] = {"vocabulary": size}
    tops: dict[str, tuple[Figure, ...]] = {}
    floor: dict[bool, float] = {}
    for with_norm in (True, False) if through.norm is not None else (False,):
        how = "through the final norm" if with_norm else "as it is"
        spread = ranks(through.logits(drawn, with_norm), own.expand(random, -1))
        floor[with_norm] = float(np.median(spread.mean(0)))
        for name, units in arms.items():
            logits = through.logits(units, with_norm)
            rank = ranks(logits, own[:, None])[:, 0]
            label = f"{name}, {how}"
            tops[label] = _tops(rank)
            rows.append((label, *tops[label]))
            best = logits.topk(min(SHOWN, size), dim=1).indices.tolist()
            data[label] = {
                word: {"rank": int(rank[i]) + 1, "top": [through.tokenizer.decode([t]) for t in best[i]]}
                for i, word in enumerate(words)
            }
        chance = (_median(spread.mean(0)), *(_flat(spread < top) for top in TOPS))
        rows.append((f"random, {how}", *chance))
    return Section(
        TITLE,
        _verdict(tops, floor),
        ("vectors", "median rank", *(f"in the top {top}" for top in TOPS)),
        tuple(rows),
        (
            f"Rank, from 1, of the first token of the word among {size:,} tokens by their product with "
            f"the vector, at layer {vectors.read_layer if layer is None else layer}; words that begin "
            f"with the same token share it. Random: {random} directions, each asked for every word.",
            "A vector far from the last layer need not point at words at all: it may act through later "
            "layers.",
        ),
        data,
    )


def ranks(
    logits: Float[Tensor, "rows vocabulary"], tokens: Int[Tensor, "rows words"]
) -> Int[np.ndarray, "rows words"]:
    """How many tokens have a higher logit than each of a row's tokens."""
    own = logits.gather(1, tokens)
    return np.stack([(logits > own[:, j : j + 1]).sum(1).numpy() for j in range(tokens.shape[1])], axis=1)


def _tops(rank: Int[np.ndarray, " words"]) -> tuple[Figure, ...]:
    """The median rank, and the share near the top."""
    return _median(rank), *(share((rank < top).astype(float), "words") for top in TOPS)


def _median(rank: Float[np.ndarray, " words"] | Int[np.ndarray, " words"]) -> Figure:
    return statistic(lambda drawn: float(np.median(rank[drawn])) + 1, len(rank), "words")


def _flat(hits: np.ndarray) -> Figure:
    """Share over all directions and words; the interval is over words."""
    return share(hits.mean(0), "words")


def _verdict(tops: Mapping[str, tuple[Figure, ...]], floor: Mapping[bool, float]) -> str:
    label = min(tops, key=lambda name: tops[name][0].value)
    median, _, near = tops[label]
    chance = min(floor.values()) + 1
    if median.high >= chance:
        return (
            f"Vectors do not point at their words more than random directions do (median rank {median}; "
            f"random {chance:,.0f})."
        )
    how = "at" if near.value >= 0.5 else "only roughly towards"
    return (
        f"Vectors point {how} their words (best: {label}): median rank {median}, random {chance:,.0f}; in "
        f"the top {TOPS[-1]} for {near.value:.0%}."
    )
