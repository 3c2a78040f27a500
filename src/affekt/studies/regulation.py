"""Emotion regulation between speakers (paper 6.3): what the other's emotion lies near to, rated by people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from affekt.quality.bootstrap import statistic
from affekt.quality.figure import Figure
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Table, by_sign

__all__ = ["evoked", "regulation"]


def regulation(
    lab: Lab,
    names: Sequence[str],
    cosines: Float[np.ndarray, "others presents"],
    words: Float[np.ndarray, "others presents"],
) -> tuple[Table, list[Check]]:
    """r between the other's rating and the mean rating of the present-speaker vectors near to it.

    Args:
        lab: holds the human norms.
        names: the emotions of both axes.
        cosines: of other-speaker vectors with present-speaker ones on the same tokens.
        words: the same by the words alone.
    """
    rows, checks = [], []
    for axis in ("valence", "arousal"):
        places, ratings = lab.norms_of(axis)
        known = {lab.names[i]: value for i, value in zip(places, ratings, strict=True)}
        at = [i for i, name in enumerate(names) if name in known]
        own = np.array([known[names[i]] for i in at])
        found: dict[str, Figure] = {}
        for source, matrix in (("vectors", cosines), ("words alone", words)):
            for how in ("clipped at 0", "plain"):
                near = evoked(matrix[np.ix_(at, at)], own, how == "clipped at 0")
                figure = found[f"{source}, {how}"] = _r(near, own)
                rows.append(
                    {
                        "axis": axis,
                        "of": source,
                        "weights": how,
                        "r": figure.value,
                        "low": figure.low,
                        "high": figure.high,
                        "n": figure.n,
                    }
                )
        main, control = found["vectors, clipped at 0"], found["words alone, clipped at 0"]
        if axis == "arousal":
            what = "high arousal of the other lies near low arousal of one's own"
            row = by_sign(what, "r = −0.47", "–", main, -1, least=0.2, row=16)
            checks.append(replace(row, here=f"{main}; words alone {control}"))
        else:
            checks.append(
                Check(
                    "valence of the other and of what it lies near to",
                    "r = 0.07, none",
                    "–",
                    f"{main}; words alone {control}",
                    "not judged: that nothing is there is found in a random network as well",
                    "not measured",
                    16,
                )
            )
    return Table.of("regulation", rows), checks


def evoked(
    cosines: Float[np.ndarray, "others presents"], ratings: Float[np.ndarray, " presents"], clip: bool
) -> Float[np.ndarray, " others"]:
    """The mean rating around each other-speaker emotion, weighted by cosine; its own emotion is left out, so
    that what it shares with itself does not count."""
    weights = np.clip(cosines, 0, None) if clip else cosines.copy()
    np.fill_diagonal(weights, 0)
    total = np.abs(weights).sum(1)
    near: Float[np.ndarray, " others"] = weights @ (ratings - ratings.mean()) / np.where(total == 0, 1, total)
    return near


def _r(a: Float[np.ndarray, " emotions"], b: Float[np.ndarray, " emotions"]) -> Figure:
    return statistic(lambda drawn: float(np.corrcoef(a[drawn], b[drawn])[0, 1]), len(a), "emotions")
