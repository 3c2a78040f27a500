"""Replies written freely under steering (paper 3.6, tables 6 to 8): their valence by a lexicon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from affekt.concepts.concept import emotions
from affekt.quality.bootstrap import mean, statistic
from affekt.quality.coherence import loops
from affekt.quality.controls import with_random
from affekt.studies.lab import Lab
from affekt.studies.replies import lexicon, replies
from affekt.studies.result import Check, Table, by_sign, unjudged

__all__ = ["freely"]

ASKED = ("How are you today?", "What just happened?", "Tell me about your morning.")
"""Questions that name no feeling."""

TOKENS = {"quick": 20, "full": 50}
RANDOM = {"quick": 3, "full": 12}

PLEASANT = ("happy", "inspired", "loving", "proud", "calm")
UNPLEASANT = ("desperate", "angry", "guilty", "sad", "afraid", "nervous")
"""The display emotions by the sign of their valence; `surprised` is neither."""

WHAT = "replies steered by pleasant emotions are more pleasant by a lexicon than those by unpleasant ones"


def freely(lab: Lab, shown: Sequence[str], dose: float) -> tuple[str, list[Table], Check]:
    """Replies under each emotion and under random directions; a broken reply is a class of its own."""
    everything, plain = with_random(lab.vectors, RANDOM[lab.scale], 0)
    arms: list[str | None] = [None, *shown, *plain]
    cells = [(arm, text) for arm in arms for text in ASKED]
    written = replies(
        lab,
        lab.engine(everything),
        [text for _, text in cells],
        TOKENS[lab.scale],
        [None if arm is None else {arm: {"dose": dose}} for arm, _ in cells],
        "causal, free replies",
    )
    valence = lexicon([reply.text for reply in written])
    broken = np.array([loops(reply.tokens) or not reply.text.strip() for reply in written])
    norms = {c.name: c.valence for c in emotions()}
    table = Table.of(
        "free replies",
        [
            {
                "steered by": arm or "nothing",
                "kind": "none" if arm is None else "random" if arm in plain else "emotion",
                "human valence": norms.get(arm or ""),
                "question": text,
                "reply": reply.text,
                "lexicon": None if np.isnan(v) else round(float(v), 4),
                "broken": bool(b),
            }
            for (arm, text), reply, v, b in zip(cells, written, valence, broken, strict=True)
        ],
    )
    if np.isnan(valence).all():
        return "", [table], unjudged(WHAT, "takes on the emotion", "–", "vaderSentiment is not installed")
    whole = {arm: _of(arm, cells, valence, broken) for arm in arms}
    up = [whole[arm] for arm in PLEASANT if arm in shown]
    down = [whole[arm] for arm in UNPLEASANT if arm in shown]
    scores, sides = np.array(up + down), np.array([1] * len(up) + [0] * len(down))
    there = np.isfinite(scores)
    scores, sides = scores[there], sides[there]
    if min((sides == 1).sum(), (sides == 0).sum()) < 2:
        return "", [table], unjudged(WHAT, "takes on the emotion", "–", "too few replies are whole")

    def difference(drawn: np.ndarray) -> float:
        one, other = scores[drawn][sides[drawn] == 1], scores[drawn][sides[drawn] == 0]
        return float(one.mean() - other.mean()) if len(one) and len(other) else float("nan")

    figure = statistic(difference, len(scores), "emotions")
    random = mean(np.array([whole[arm] for arm in plain]), "random directions")
    said = (
        f"Free replies steered by pleasant emotions differ from those by unpleasant ones by {figure} in a "
        f"lexicon's valence (-1 to 1; under random directions it is {random}, unsteered {whole[None]:.2f}); "
        f"{broken.mean():.0%} of the replies are broken."
    )
    row = by_sign(WHAT, "takes on the emotion (tables 6 to 8)", "–", figure)
    chance = shuffled(scores, sides)
    here = f"{row.here}; {chance:.3f} of all ways to part them do as well"
    return said, [table], replace(row, here=here)


def shuffled(scores: Float[np.ndarray, " emotions"], sides: Int[np.ndarray, " emotions"]) -> float:
    """Share of all ways to part the emotions as many to as many whose difference is at least that found."""
    up = int(sides.sum())
    best = scores[sides == 1].sum()
    sums = np.array([scores[list(some)].sum() for some in combinations(range(len(scores)), up)])
    return float((sums >= best - 1e-12).mean())


def _of(
    arm: str | None, cells: Sequence[tuple[str | None, str]], valence: np.ndarray, broken: np.ndarray
) -> float:
    own = [i for i, (other, _) in enumerate(cells) if other == arm and not broken[i]]
    return float(valence[own].mean()) if own else float("nan")
