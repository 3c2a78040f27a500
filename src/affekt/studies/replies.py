"""Replies of the model's own, and their valence by their words alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from affekt.engines import Reply, Request, Sampling, TransformersEngine
from affekt.studies.lab import Lab

__all__ = ["lexicon", "replies"]


def replies(
    lab: Lab,
    engine: TransformersEngine,
    texts: Sequence[str],
    tokens: int,
    biases: Sequence[Mapping[str, Any] | None] | None = None,
    stage: str = "replies",
) -> list[Reply]:
    """Greedy replies to messages of a user, one each, in their order.

    Args:
        lab: told how far it is.
        engine: what runs the model.
        texts: the messages.
        tokens: the longest reply.
        biases: what steers each; none by default.
        stage: its name for the progress.
    """
    sampling = Sampling(max_tokens=tokens, stop=() if lab.has_template else ("\nHuman:",))
    given = biases or [None] * len(texts)
    requests = [
        Request([{"role": "user", "content": text}], sampling, bias=bias, id=str(i))
        for i, (text, bias) in enumerate(zip(texts, given, strict=True))
    ]
    found: dict[int, Reply] = {}
    for piece in engine.generate(requests):
        if isinstance(piece, Reply):
            found[int(piece.request)] = piece
            lab.told(stage, len(found), len(texts))
    return [found[i] for i in range(len(texts))]


def lexicon(texts: Sequence[str]) -> Float[np.ndarray, " texts"]:
    """Valence of each text by its words, -1 to 1 (VADER's compound score, Hutto & Gilbert 2014); NaN where
    vaderSentiment is not installed."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        return np.full(len(texts), np.nan)
    analyzer = SentimentIntensityAnalyzer()
    return np.array([analyzer.polarity_scores(text)["compound"] for text in texts])
