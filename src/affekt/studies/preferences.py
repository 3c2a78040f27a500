"""Study 8 (paper section 4): what the model prefers, whether probes foretell it, and whether vectors move
it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from affekt.concepts.shipped import activities
from affekt.quality.bootstrap import count, mean
from affekt.quality.controls import with_random
from affekt.steering.control import random_directions
from affekt.studies.choosing.choices import compared
from affekt.studies.choosing.elo import elo, hard
from affekt.studies.choosing.feelings import felt
from affekt.studies.choosing.halves import DOSE, matches, moved
from affekt.studies.choosing.preferring import (
    beyond,
    by_valence,
    correlations,
    foretells,
    link,
    linked,
    moves,
)
from affekt.studies.choosing.ranking import effects, ranked, ranking
from affekt.studies.lab import Lab
from affekt.studies.result import Drawn, Result, Table

__all__ = ["preferences"]

STEERED = ("blissful", "hostile", "loving", "afraid", "enthusiastic", "sad")
"""Emotions that steer under `quick`; `full` takes more, spread over the range of correlations."""

FULL = 35
"""Emotions that steer under `full` (paper 4.4)."""

RANDOM = {"quick": 2, "full": 8}
"""Directions of each of two kinds that steer as a control: random ones of the whole space, and random
mixtures of the emotions' vectors, which lie where residuals vary."""

PAIRS = {"quick": 0.25, "full": 1.0}
"""Share of the pairs of activities that are drawn to be compared, each in both orders; the pairs in which one
is steered later are compared as well."""

OPPONENTS = {"quick": 2, "full": 16}
"""Activities of the other half that each steered one meets, in both orders."""

DRAWN = 1000
"""Directions that say how far r with Elo goes by chance."""


def preferences(lab: Lab) -> Result:
    """Elo of 64 activities from all ordered pairs (about a quarter of them under `quick`), its correlation
    with every probe, and steering of half of the activities."""
    things = activities()
    texts = [thing.text for thing in things]
    engine = lab.engine()
    _, _, met = matches(len(texts), OPPONENTS[lab.scale])
    played = _played(len(texts), PAIRS[lab.scale]) | met
    wins, certain = compared(lab, engine, texts, played)
    strengths, advantage = elo(wins, played)
    strict, _ = elo(hard(wins), played)
    first = count(float((wins[played] > 0.5).sum()), int(played.sum()), "ordered pairs")
    agree = mean(((wins > 0.5) == (wins.T < 0.5))[played].astype(float), "ordered pairs", _pair_names(played))
    rows = felt(lab, engine, texts)
    z = lab.vectors.readout().only(lab.emotions).z(rows, "user").double().numpy()
    r = correlations(z, strengths)
    reach = _reach(lab, rows.double().numpy(), strengths)
    everything, plain = with_random(lab.vectors, RANDOM[lab.scale], 0)
    everything, mixed = with_random(everything, RANDOM[lab.scale], 1, spanned=True)
    chosen = _chosen(lab, r)
    found = moved(lab, everything, texts, wins, [*chosen, *plain, *mixed], OPPONENTS[lab.scale])
    along = rows.double().numpy() @ everything.directions().double().numpy().T
    own = {arm: float(correlations(along[:, [everything.index(arm)]], strengths)[0]) for arm in found}
    kinds = (
        dict.fromkeys(chosen, "emotion") | dict.fromkeys(plain, "random") | dict.fromkeys(mixed, "mixture")
    )
    steering = [
        {
            "arm": arm,
            "kind": kinds[arm],
            "effect": one.effect.value,
            "low": one.effect.low,
            "high": one.effect.high,
            "n": one.effect.n,
            "r of the steering direction": own[arm],
            "r of the probe": float(r[lab.names.index(arm)]) if kinds[arm] == "emotion" else None,
        }
        for arm, one in found.items()
    ]
    farthest = max(abs(found[arm].effect.value) for arm in (*plain, *mixed))
    over = link([row for row in steering if row["kind"] == "emotion"], "r of the probe")
    chance = link([row for row in steering if row["kind"] != "emotion"], "r of the steering direction")
    checks = [
        foretells(name, z, strengths, lab.names, sign, reach)
        for name, sign in (("blissful", 1), ("hostile", -1))
    ]
    checks += moves({arm: one.effect for arm, one in found.items()}, farthest)
    checks.append(linked(over, beyond(steering)))
    places, ratings = lab.norms_of("valence")
    checks.append(by_valence(z[:, places], strengths, ratings))
    many = int((np.abs(r) > reach).sum())
    return Result(
        "preferences",
        "What does it prefer, do probes foretell it, and do vectors move it?",
        f"Of two activities the one shown first is chosen in {first} of the pairs, and the two orders of a "
        f"pair agree in {agree}. {many} of {len(r)} probes correlate with Elo beyond 95 % of mixtures of "
        f"the vectors (|r| over {reach:.2f}). Over emotions, steering moves Elo as the probe "
        f"correlates with it by r = {over}; over random directions by {chance}.",
        (
            ranked(things, strengths, strict, np.where(played, wins, np.nan)),
            Table("correlations", {"emotion": lab.names, "r": np.round(r, 5).tolist()}),
            Table.of("steering", steering),
        ),
        (
            Drawn(
                "elo",
                ranking(things, strengths),
                f"Elo of each activity by category; the words stand in the table. Being shown first is worth "
                f"{advantage:+.0f} points here: where that is more than the differences, the model hardly "
                "prefers anything. It does not show why an activity is preferred.",
            ),
            Drawn(
                "effects",
                effects(steering),
                "Each point a direction that steers the words of half of the activities: how what is read "
                "along it correlates with Elo, and how far steering moves Elo. Blue: emotions; grey: random "
                "directions and mixtures of the same norm. It does not show that the model feels anything.",
            ),
        ),
        tuple(checks),
        (
            f"{int(played.sum()):,} ordered pairs by the logits of A and B; soft Elo by Bradley-Terry with a "
            f"term for the first place, {advantage:+.0f} points here. Median |log odds| of a pair: "
            f"{certain:.2f}; Elo of wins counted as won or lost correlates with it by "
            f"{correlations(strict[:, None], strengths)[0]:.2f}.",
            f"Steering: dose {DOSE:g} mean residual norms over the band, on the words of {len(texts) // 2} "
            f"activities, each met by {OPPONENTS[lab.scale]} of the others in both orders. Controls: "
            f"{len(plain)} random directions and {len(mixed)} mixtures of the same norm; the farthest moved "
            f"Elo by {farthest:.0f}.",
            f"Where the two orders of a pair agree in fewer than half of the pairs ({agree.value:.2f} here), "
            "the place decides more than the activity, and no row tells of a preference.",
            "Categories differ in more than emotion (unsafe ones in their words as well): a correlation over "
            "64 activities says nothing of why.",
        ),
        {"first": first.to_dict(), "agree": agree.to_dict(), "advantage": advantage, "beyond_random": many},
    )


def _played(n: int, share: float) -> Bool[np.ndarray, "items items"]:
    """Which ordered pairs are compared: a pair in both orders or in none."""
    above = np.triu(np.random.default_rng(0).random((n, n)) < share, 1)
    played: Bool[np.ndarray, "items items"] = above | above.T
    return played


def _pair_names(played: Bool[np.ndarray, "items items"]) -> list[str]:
    return [f"{min(i, j)}-{max(i, j)}" for i, j in zip(*np.nonzero(played), strict=True)]


def _reach(
    lab: Lab, rows: Float[np.ndarray, "items d_model"], strengths: Float[np.ndarray, " items"]
) -> float:
    """|r| with Elo that 95 % of random mixtures of the emotions' vectors stay under."""
    drawn = random_directions(DRAWN, rows.shape[1], 0, sample=lab.vectors.directions()[lab.emotions])
    return float(np.quantile(np.abs(correlations(rows @ drawn.double().numpy().T, strengths)), 0.95))


def _chosen(lab: Lab, r: Float[np.ndarray, " emotions"]) -> list[str]:
    always = [name for name in STEERED if name in lab.names]
    if lab.quick:
        return always
    always = always[:2]
    rest = [lab.names[i] for i in np.argsort(r) if lab.names[i] not in always]
    spread = np.linspace(0, len(rest) - 1, min(len(rest), FULL - len(always))).astype(int)
    return [*always, *(rest[at] for at in spread)]
