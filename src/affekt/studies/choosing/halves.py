"""Half of the activities steered against the other half: does a vector on their words move what is chosen?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from affekt.quality.bootstrap import statistic
from affekt.quality.figure import Figure
from affekt.studies.choosing.choices import compared_under
from affekt.studies.choosing.elo import elo
from affekt.studies.lab import Lab
from affekt.vectors import ConceptVectors

__all__ = ["DOSE", "Moved", "apart", "matches", "moved"]

DOSE = 0.5
"""Mean residual norms on the words of the steered activities (paper 4.4)."""


@dataclass(frozen=True)
class Moved:
    """What steering half of the activities by one direction did."""

    arm: str
    """The direction."""
    effect: Figure
    """Change of the steered activities' Elo against that of the others; the interval is over activities."""


def matches(
    n: int, opponents: int | None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, Bool[np.ndarray, "items items"]]:
    """The half that is steered, the rest, and who meets whom: steered against not, in both orders.

    Args:
        n: how many activities.
        opponents: how many of the rest each steered one meets; None is all.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    half = np.sort(rng.permutation(n)[: n // 2])
    rest = np.setdiff1d(np.arange(n), half)
    played = np.zeros((n, n), dtype=bool)
    for item in half:
        few = min(opponents or len(rest), len(rest))
        meets = rng.choice(rest, few, replace=False)
        played[item, meets] = played[meets, item] = True
    return half, rest, played


def moved(
    lab: Lab,
    vectors: ConceptVectors,
    texts: Sequence[str],
    wins: Float[np.ndarray, "items items"],
    arms: Sequence[str],
    opponents: int | None,
) -> dict[str, Moved]:
    """Every arm's effect.

    Args:
        lab: model and scale.
        vectors: hold all arms.
        texts: the activities.
        wins: outcomes without steering, of the pairs that `matches` names at least.
        arms: names of the directions.
        opponents: how many each steered activity meets; None is all.
    """
    half, rest, played = matches(len(texts), opponents)
    engine = lab.engine(vectors)
    before, _ = elo(np.where(played, wins, 0.5), played)
    biases = [{int(item): {arm: {"dose": DOSE}} for item in half} for arm in arms]
    steered = compared_under(lab, engine, texts, played, biases, "preferences, steered")
    found = {}
    for arm, outcomes in zip(arms, steered, strict=True):
        after, _ = elo(expit(outcomes), played)
        found[arm] = Moved(arm, apart(after - before, half, rest))
    return found


def apart(
    change: Float[np.ndarray, " items"], half: Int[np.ndarray, " steered"], rest: Int[np.ndarray, " others"]
) -> Figure:
    """The mean change of the steered less that of the others; both halves are drawn anew."""
    steered = np.zeros(len(change), dtype=bool)
    steered[half] = True
    at = np.concatenate([half, rest])

    def difference(drawn: Int[np.ndarray, " drawn"]) -> float:
        own, of = change[at[drawn]], steered[at[drawn]]
        return float(own[of].mean() - own[~of].mean()) if 0 < of.sum() < len(of) else float("nan")

    return statistic(difference, len(at), "activities")
