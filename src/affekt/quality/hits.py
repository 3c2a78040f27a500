"""Whether the right concept is ranked first or among five, for a read-out and for the words alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from affekt.quality.bootstrap import gain, share
from affekt.quality.figure import Figure

__all__ = ["TOPS", "Hits", "compare", "hits_of"]

TOPS = (1, 5)
"""How many of the best count."""


@dataclass(frozen=True)
class Hits:
    """Hits of one way of scoring, one number a text for each of `TOPS`."""

    at: dict[int, Float[np.ndarray, " texts"]]
    """k -> the chance that the right concept is among the best k, ties broken by lot; mostly 0 or 1."""

    @property
    def total(self) -> float:
        """Mean over texts and `TOPS`: what the stronger of two baselines is chosen by."""
        return float(np.mean([hits.mean() for hits in self.at.values()]))


def hits_of(scores: Float[np.ndarray, "texts concepts"], truth: Int[np.ndarray, " texts"]) -> Hits:
    """The hits of a table of scores, higher being nearer.

    Ties are broken by lot: a text of which the words say nothing gives every concept the score 0, and would
    otherwise be a hit for whichever stands first.
    """
    own = np.take_along_axis(scores, truth[:, None], axis=1)
    above, level = (scores > own).sum(1), (scores == own).sum(1)
    return Hits({k: np.clip((k - above) / level, 0.0, 1.0) for k in TOPS})


def compare(
    model: Hits, words: Hits, of: str = "texts", groups: Sequence[str] | None = None
) -> tuple[Figure, ...]:
    """For each of `TOPS`: the read-out's share, the words' share, and the difference, paired by text."""
    figures: list[Figure] = []
    for k in TOPS:
        one, other = model.at[k], words.at[k]
        figures += [share(one, of, groups), share(other, of, groups), gain(one, other, of, groups)]
    return tuple(figures)
