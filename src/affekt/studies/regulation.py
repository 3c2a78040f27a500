"""Emotion regulation between speakers (paper 6.3): what the other's emotion lies near to, rated by people.

A dialogue gives the vectors of its user's emotion, as the other's, and of its assistant's emotion, as the
speaker's own, the same residuals; so a pair of emotions from one dialogue says nothing of emotions and is
left out, as is an emotion beside itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from affekt.concepts.dialogues import TwoEmotions
from affekt.quality.bootstrap import statistic
from affekt.quality.figure import Figure
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Table, Verdict, unjudged

__all__ = ["regulation", "shared", "weights"]

SHUFFLES = 2000
"""Permutations of the ratings over the words."""

LEAST = 0.2
"""Size of r from which on the paper's is said to be found."""

FEWEST = 10
"""Words with ratings and with a neighbour that is not left out, under which nothing is measured."""


def shared(dialogues: Sequence[TwoEmotions], names: Sequence[str]) -> Bool[np.ndarray, "others presents"]:
    """Pairs that are left out: those of one dialogue (the user's emotion, the assistant's), and each emotion
    with itself."""
    out = np.eye(len(names), dtype=bool)
    at = {name: i for i, name in enumerate(names)}
    for dialogue in dialogues:
        if dialogue.user in at and dialogue.assistant in at:
            out[at[dialogue.user], at[dialogue.assistant]] = True
    return out


def regulation(
    lab: Lab,
    names: Sequence[str],
    cosines: Float[np.ndarray, "others presents"],
    words: Float[np.ndarray, "others presents"],
    out: Bool[np.ndarray, "others presents"],
) -> tuple[Table, list[Check]]:
    """r between the other's rating and the mean rating of the present-speaker vectors near to it.

    Args:
        lab: holds the human norms.
        names: the emotions of both axes.
        cosines: of other-speaker vectors with present-speaker ones on the same tokens.
        words: the same by the words alone.
        out: pairs that are left out, of `shared`.
    """
    rows, checks = [], []
    for axis in ("valence", "arousal"):
        places, ratings = lab.norms_of(axis)
        known = {lab.names[i]: value for i, value in zip(places, ratings, strict=True)}
        at = [i for i, name in enumerate(names) if name in known]
        at = [i for i in at if not out[i, at].all()]
        own, without = np.array([known[names[i]] for i in at]), out[np.ix_(at, at)]
        if len(at) < FEWEST or without.all(axis=1).any():
            checks.append(
                unjudged(_WHAT[axis], _PAPER[axis], "–", "too few pairs of different dialogues", 16)
            )
            continue
        for how in ("clipped at 0", "plain"):
            taken = {
                source: weights(matrix[np.ix_(at, at)], without, how == "clipped at 0")
                for source, matrix in (("vectors", cosines), ("words alone", words))
            }
            found = {source: _r(weight @ own, own) for source, weight in taken.items()}
            reach = {source: _reach(weight, own) for source, weight in taken.items()}
            rows += [
                {
                    "axis": axis,
                    "of": source,
                    "weights": how,
                    "r": figure.value,
                    "low": figure.low,
                    "high": figure.high,
                    "2.5 % of shuffles": reach[source][0],
                    "97.5 % of shuffles": reach[source][1],
                    "n": figure.n,
                }
                for source, figure in found.items()
            ]
            if how == "clipped at 0":
                beyond = _beyond(taken["vectors"] @ own, taken["words alone"] @ own, own)
                checks.append(_check(axis, found, reach["vectors"], beyond))
    return Table.of("regulation", rows), checks


def weights(
    cosines: Float[np.ndarray, "others presents"], out: Bool[np.ndarray, "others presents"], clip: bool
) -> Float[np.ndarray, "others presents"]:
    """What gives, times the ratings, the mean rating around each other-speaker emotion, weighted by cosine,
    less the plain mean of the same ratings: the ones left out count in neither."""
    near = np.where(out, 0.0, np.clip(cosines, 0, None) if clip else cosines)
    total = np.abs(near).sum(axis=1, keepdims=True)
    near = near / np.where(total == 0, 1, total)
    plain = ~out / np.maximum((~out).sum(axis=1, keepdims=True), 1)
    less: Float[np.ndarray, "others presents"] = near - near.sum(axis=1, keepdims=True) * plain
    return less


_WHAT = {
    "valence": "valence of the other and of what it lies near to",
    "arousal": "high arousal of the other lies near low arousal of one's own",
}
_PAPER = {"valence": "r = 0.07, none", "arousal": "r = −0.47"}


def _check(axis: str, found: dict[str, Figure], reach: tuple[float, float], beyond: Figure) -> Check:
    main = found["vectors"]
    here = (
        f"{main}; 95 % of shuffled ratings within {reach[0]:.2f} and {reach[1]:.2f}; words alone "
        f"{found['words alone']}; beyond words {beyond}"
    )
    if axis == "valence":
        rule = "not judged: that nothing is there is found in a random network as well"
        return Check(_WHAT[axis], _PAPER[axis], "–", here, rule, "not measured", 16)
    rare, large, more = main.value < reach[0], main.value <= -LEAST, beyond.high < 0
    verdict: Verdict = (
        "reproduced" if rare and large and more else "partly" if rare and large else "not reproduced"
    )
    return Check(
        _WHAT[axis],
        _PAPER[axis],
        "–",
        here,
        f"below 97.5 % of shuffled ratings, at least {LEAST:g} in size, and below words alone (95 % interval "
        "of the difference); partly: all but the last",
        verdict,
        16,
    )


def _r(a: Float[np.ndarray, " emotions"], b: Float[np.ndarray, " emotions"]) -> Figure:
    return statistic(lambda drawn: _corr(a[drawn], b[drawn]), len(a), "emotions")


def _beyond(
    a: Float[np.ndarray, " emotions"],
    plain: Float[np.ndarray, " emotions"],
    b: Float[np.ndarray, " emotions"],
) -> Figure:
    return statistic(
        lambda drawn: _corr(a[drawn], b[drawn]) - _corr(plain[drawn], b[drawn]), len(a), "emotions"
    )


def _corr(a: Float[np.ndarray, " emotions"], b: Float[np.ndarray, " emotions"]) -> float:
    x, y = a - a.mean(), b - b.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size else 0.0


def _reach(
    weight: Float[np.ndarray, "others presents"], ratings: Float[np.ndarray, " presents"]
) -> tuple[float, float]:
    """What 95 % of permutations of the ratings over the words stay within, pairs left out as before."""
    rng = np.random.default_rng(0)
    drawn = rng.permuted(np.tile(ratings, (SHUFFLES, 1)), axis=1)
    near = drawn @ weight.T
    x, y = (some - some.mean(axis=1, keepdims=True) for some in (near, drawn))
    size = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    low, high = np.quantile((x * y).sum(axis=1) / np.where(size == 0, 1, size), (0.025, 0.975))
    return float(low), float(high)
