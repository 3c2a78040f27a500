"""Steering by the speaker's own and by the other's emotion (paper 6.2): is it expressed, or answered?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from torch import Tensor, cat

from affekt.quality.bootstrap import mean
from affekt.quality.coherence import loops
from affekt.quality.controls import with_directions, with_random
from affekt.quality.naming import DISPLAY, raises
from affekt.studies.heat import heat
from affekt.studies.lab import Lab
from affekt.studies.replies import lexicon, replies
from affekt.studies.result import Check, Drawn, Table, by_sign, unjudged
from affekt.studies.speaking.turns import OTHER_A, PRESENT_A
from affekt.vectors import ConceptVectors

__all__ = ["Reactions", "address", "judged", "reacting"]

GREETING = "Hello, assistant!"
"""A bare greeting that names who is greeted, as the paper's does."""

BEGUN = {"expressed": "I feel", "answered": "You sound"}
"""How a reply begins that has the emotion, and one that speaks to somebody who has it."""

OWN, OTHER = "own", "other's"

KINDS = {OWN: PRESENT_A, OTHER: OTHER_A}
"""Both are made on the assistant's turns, by its own emotion and by the user's."""

TOKENS = {"quick": 24, "full": 50}
"""The longest reply; the paper's has 50 tokens."""

RANDOM = {"quick": 6, "full": 20}
"""Random directions of the same norm."""

SHUFFLES = 2000
"""Shuffles of the vectors over the words."""

FEWEST = 4
"""Emotions under which nothing is measured."""

_ME = re.compile(r"\b(?:i|me|my|mine|myself)\b", re.IGNORECASE)
_YOU = re.compile(r"\b(?:you|your|yours|yourself)\b", re.IGNORECASE)

_EXPRESSED = "steered by the speaker's own emotion: own word after “I feel” beyond the other words (nats)"
_ANSWERED = (
    "steered by the other's emotion: own word rises after “You sound” more than after “I feel”, beyond the "
    "other words (nats)"
)
_ADDRESSED = "replies under the other's emotion speak of “you” rather than “I” more than under one's own"
_PAPER = {
    _EXPRESSED: "the reply expresses it (table 13)",
    _ANSWERED: "the reply reacts to someone having it (table 13)",
    _ADDRESSED: "reassurance, apology, help (table 13)",
}


@dataclass(frozen=True)
class Reactions:
    """What steering by vectors of both kinds gave."""

    tables: tuple[Table, ...]
    """Changes of log-probability, and the replies."""
    drawn: tuple[Drawn, ...]
    """The figure."""
    checks: tuple[Check, ...]
    """The rows."""


def reacting(
    lab: Lab, made: Mapping[str, Float[Tensor, "layers emotions d_model"]], names: Sequence[str]
) -> Reactions:
    """After a bare greeting: how probable each emotion's word becomes after "I feel" and "You sound", and
    what is written freely, at the dose of the model's own dial.

    Args:
        lab: model and scale.
        made: vectors of each kind of `KINDS`, at every layer that the lab's vectors hold.
        names: the emotions of the vectors.
    """
    shown = [name for name in DISPLAY if name in names]
    if len(shown) < FEWEST:
        why = f"dialogues of {len(shown)} of the display emotions, at least {FEWEST} are needed"
        return Reactions((), (), tuple(unjudged(what, paper, "–", why) for what, paper in _PAPER.items()))
    at = [names.index(name) for name in shown]
    arms = {kind: [f"{name} ({kind})" for name in shown] for kind in KINDS}
    everything = with_directions(
        lab.vectors,
        [arm for some in arms.values() for arm in some],
        cat([made[KINDS[kind]][:, at] for kind in arms], dim=1),
    )
    everything, plain = with_random(everything, RANDOM[lab.scale], 0)
    engine, k = lab.engine(everything), len(shown)
    steered = [*arms[OWN], *arms[OTHER], *plain]
    changes = {
        how: raises(engine, shown, steered, lab.dose, GREETING, prefix) for how, prefix in BEGUN.items()
    }
    named = {
        kind: {how: change[i * k : (i + 1) * k] for how, change in changes.items()}
        for i, kind in enumerate(KINDS)
    }
    written, row = _free(lab, everything, arms, plain)
    table = Table.of(
        "reactions",
        [
            {"steered by": arm, "word": word}
            | {BEGUN[how]: round(float(change[i, j]), 5) for how, change in changes.items()}
            for i, arm in enumerate(steered)
            for j, word in enumerate(shown)
        ],
    )
    beyond = np.stack([_beyond(named[kind][how]) for kind in KINDS for how in BEGUN], axis=1)
    columns = [f"{kind}, “{prefix}”" for kind in KINDS for prefix in BEGUN.values()]
    figure = Drawn(
        "reactions",
        heat(beyond, columns, shown, "whose emotion steers, how the reply begins", "emotion", 1),
        f"Change of the emotion's own word after each beginning, less what the other emotions' vectors do to "
        f"it, in nats, at a dose of {lab.dose:g}, by vectors of the speaker's own and of the other's "
        "emotion. It shows which sentence becomes likelier, not that anything is felt or understood.",
    )
    return Reactions((table, written), (figure,), (*judged(named, changes["expressed"][2 * k :]), row))


def judged(
    named: Mapping[str, Mapping[str, Float[np.ndarray, "words words"]]],
    random: Float[np.ndarray, "random words"],
) -> list[Check]:
    """The rows on the words.

    Args:
        named: kind of vector -> how the reply begins -> change of each word (columns) by each emotion's
            vector (rows), in nats.
        random: change of each word by random directions, where the reply begins as expressed.
    """
    expressed = mean(_beyond(named[OWN]["expressed"]), "words")
    noise = mean(named[OWN]["expressed"].diagonal() - random.mean(axis=0), "words")
    first = by_sign(_EXPRESSED, _PAPER[_EXPRESSED], "–", expressed)
    itself = mean(named[OWN]["expressed"].diagonal(), "words")
    first = replace(
        first,
        here=f"{first.here}; beyond random directions {noise}; the word itself {itself}",
        rule=f"{first.rule}, beyond random directions, and of the word itself; partly: the first alone",
        verdict="partly"
        if first.verdict == "reproduced" and not (noise.low > 0 and itself.low > 0)
        else first.verdict,
    )
    lean = {kind: own["answered"] - own["expressed"] for kind, own in named.items()}
    answered, chance = mean(_beyond(lean[OTHER]), "words"), _chance(lean[OTHER])
    apart = mean(_beyond(lean[OTHER] - lean[OWN]), "words")
    second = by_sign(_ANSWERED, _PAPER[_ANSWERED], "–", answered)
    rare = second.verdict == "reproduced" and chance < 0.025
    second = replace(
        second,
        here=f"{second.here}; {chance:.3f} of shuffles of the vectors over the words do as well; beyond the "
        f"lean of the speaker's own {apart}",
        rule=f"{second.rule}, under 0.025 of shuffles do as well, and beyond the lean of the speaker's own; "
        "partly: all but the last",
        verdict="not reproduced" if not rare else "reproduced" if apart.low > 0 else "partly",
    )
    return [first, second]


def address(text: str) -> float:
    """How much a text speaks of "you" rather than of "I", from -1 to 1; NaN where it names neither."""
    me, you = len(_ME.findall(text)), len(_YOU.findall(text))
    return (you - me) / (you + me) if you + me else float("nan")


def _beyond(changes: Float[np.ndarray, "words words"]) -> Float[np.ndarray, " words"]:
    """Each word under its own vector, less its mean under the others'."""
    own = changes.diagonal()
    beyond: Float[np.ndarray, " words"] = own - (changes.sum(axis=0) - own) / (len(own) - 1)
    return beyond


def _chance(changes: Float[np.ndarray, "words words"]) -> float:
    """Share of shuffles of the vectors over the words whose mean is at least as large, itself counted."""
    rng, found = np.random.default_rng(0), _beyond(changes).mean()
    drawn = [_beyond(rng.permutation(changes)).mean() for _ in range(SHUFFLES)]
    return float((np.sum(np.array(drawn) >= found - 1e-12) + 1) / (SHUFFLES + 1))


def _free(
    lab: Lab, vectors: ConceptVectors, arms: Mapping[str, Sequence[str]], plain: Sequence[str]
) -> tuple[Table, Check]:
    """Replies to the greeting under every arm, and how much they speak of "you"; broken ones are left out."""
    kinds: dict[str | None, str] = {None: "none"}
    kinds |= {arm: kind for kind, some in arms.items() for arm in some}
    kinds |= dict.fromkeys(plain, "random")
    written = replies(
        lab,
        lab.engine(vectors),
        [GREETING] * len(kinds),
        TOKENS[lab.scale],
        [None if arm is None else {arm: {"dose": lab.dose}} for arm in kinds],
        "speakers, replies",
    )
    texts = [reply.text for reply in written]
    valence = lexicon(texts)
    broken = np.array([loops(reply.tokens) or not reply.text.strip() for reply in written])
    you = np.where(broken, np.nan, [address(text) for text in texts])
    table = Table.of(
        "reactions, free replies",
        [
            {
                "steered by": arm or "nothing",
                "kind": kind,
                "reply": text,
                "you against I": None if np.isnan(share) else round(float(share), 4),
                "lexicon": None if np.isnan(v) else round(float(v), 4),
                "broken": bool(b),
            }
            for (arm, kind), text, share, v, b in zip(kinds.items(), texts, you, valence, broken, strict=True)
        ],
    )
    of = {kind: np.array([own == kind for own in kinds.values()]) for kind in (*arms, "random")}
    difference = you[of[OTHER]] - you[of[OWN]]
    whole = int(np.isfinite(difference).sum())
    paper = _PAPER[_ADDRESSED]
    lost = ", ".join(f"{kind} {broken[some].mean():.0%}" for kind, some in of.items())
    if whole < FEWEST:
        why = f"{whole} pairs of whole replies that say “you” or “I”; broken: {lost}"
        return table, unjudged(_ADDRESSED, paper, "–", why)
    row = by_sign(_ADDRESSED, paper, "–", mean(difference, "emotions"))
    noise = mean(you[of["random"]], "random directions")
    return table, replace(
        row, here=f"{row.here}; under random directions it is {noise}; broken replies: {lost}"
    )
