"""What probes and steering have to do with preferences: the rows of that study (paper 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from affekt.quality.bootstrap import statistic
from affekt.quality.figure import Figure
from affekt.studies.result import Check, by_sign

__all__ = ["beyond", "by_valence", "correlations", "foretells", "link", "linked", "moves"]

LINKED = 0.5
"""r over emotions from which on the paper's is said to be found."""

SHUFFLES = 1000
"""Shuffles of the strengths over the activities."""


def correlations(
    z: Float[np.ndarray, "items directions"], strengths: Float[np.ndarray, " items"]
) -> Float[np.ndarray, " directions"]:
    """Pearson's r of each column with the strengths; 0 where one of the two does not vary."""
    x, y = z - z.mean(0), strengths - strengths.mean()
    size = np.sqrt((x * x).sum(0) * (y @ y))
    r: Float[np.ndarray, " directions"] = np.divide(y @ x, size, out=np.zeros(len(size)), where=size > 1e-12)
    return r


def foretells(
    name: str,
    z: Float[np.ndarray, "items emotions"],
    strengths: Float[np.ndarray, " items"],
    names: Sequence[str],
    sign: int,
    reach: float,
) -> Check:
    """Whether a probe reads on the activities what they are worth, beyond random mixtures of the vectors."""
    column = z[:, [names.index(name)]]
    figure = statistic(
        lambda drawn: float(correlations(column[drawn], strengths[drawn])[0]), len(strengths), "activities"
    )
    paper = {"blissful": "0.71", "hostile": "−0.74"}[name]
    return by_sign(
        f"r of the {name} probe with Elo, beyond random mixtures",
        paper,
        "0.82, −0.65; unsettled",
        figure,
        sign,
        least=round(max(0.3, reach), 2),
        row=4,
    )


def moves(effects: Mapping[str, Figure], farthest: float) -> list[Check]:
    """Whether steering by the paper's two emotions moves Elo farther than by directions of chance."""
    return [
        by_sign(
            f"change of Elo when steered by {name}, beyond random directions",
            paper,
            "10 of 12 emotions as valence says; none",
            effects[name],
            sign,
            least=round(farthest),
            row=5,
        )
        for name, sign, paper in (("blissful", 1, "+212"), ("hostile", -1, "−303"))
        if name in effects
    ]


def link(rows: Sequence[Mapping[str, object]], key: str) -> Figure:
    """r of what is read along directions with what steering by them does."""
    x, y = (np.array([float(row[name]) for row in rows]) for name in (key, "effect"))  # type: ignore[arg-type]
    return statistic(lambda drawn: float(correlations(x[drawn, None], y[drawn])[0]), len(rows), "directions")


def beyond(rows: Sequence[Mapping[str, object]]) -> Figure:
    """r over emotions less r over the directions of chance; both are drawn anew."""
    of = np.array([row["kind"] == "emotion" for row in rows])
    key = {True: "r of the probe", False: "r of the steering direction"}
    x = np.array([row[key[row["kind"] == "emotion"]] for row in rows], dtype=float)
    y = np.array([row["effect"] for row in rows], dtype=float)

    def difference(drawn: np.ndarray) -> float:
        own = of[drawn]
        r = [correlations(x[some, None], y[some])[0] for some in (drawn[own], drawn[~own]) if len(some)]
        return float(r[0] - r[1]) if len(r) == 2 else float("nan")

    return statistic(difference, len(rows), "directions")


def linked(over: Figure, more: Figure) -> Check:
    """Whether emotions that go with Elo move it, more than directions of chance that go with it do."""
    check = by_sign(
        "effect of steering against correlation, over emotions", "r = 0.85", "0.40, 0.30; 0.00", over, row=6
    )
    good, better = check.verdict == "reproduced" and over.value >= LINKED, more.low > 0
    return replace(
        check,
        here=f"{check.here}; beyond random directions and mixtures {more}",
        rule=f"{check.rule}, at least {LINKED:g}, and above the r over random directions and mixtures (95 % "
        "interval of the difference); partly: all but the last",
        verdict="reproduced" if good and better else "partly" if good else "not reproduced",
    )


def by_valence(
    z: Float[np.ndarray, "items words"],
    strengths: Float[np.ndarray, " items"],
    ratings: Float[np.ndarray, " words"],
) -> Check:
    """Whether a probe's correlation with Elo is what people say of its word.

    Probes of like valence read alike, so that their correlations with any numbers at all go with valence or
    against it: the null is the strengths shuffled over the activities, and not the words.
    """
    r = correlations(z, strengths)
    figure = statistic(
        lambda drawn: float(correlations(r[drawn, None], ratings[drawn])[0]), len(ratings), "words"
    )
    rng = np.random.default_rng(0)
    shuffled = [correlations(z, rng.permutation(strengths)) for _ in range(SHUFFLES)]
    reach = float(np.quantile([correlations(one[:, None], ratings)[0] for one in shuffled], 0.975))
    check = by_sign(
        "probes' correlation with Elo against human valence",
        "0.76 (a judge's valence)",
        "0.41",
        figure,
        least=max(0.3, round(reach, 2)),
        row=7,
    )
    return replace(
        check,
        here=f"{check.here}; 97.5 % of Elos shuffled over the activities stay under {reach:.2f}",
        rule=f"beyond 97.5 % of Elos shuffled over the activities; {check.rule}",
        verdict=check.verdict if figure.value > reach else "not reproduced",
    )
