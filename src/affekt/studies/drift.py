"""Study 11 (paper 10, trap 6): what strength costs in coherence, emotion by emotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Scatter

from affekt.engines import Sampling, TransformersEngine
from affekt.quality.bootstrap import count, gain, mean
from affekt.quality.coherence import everyday, losses
from affekt.quality.controls import with_random
from affekt.quality.naming import DISPLAY
from affekt.reading.sheet import BLUE, GREY
from affekt.studies.lab import Lab
from affekt.studies.replies import replies
from affekt.studies.result import Check, Drawn, Result, Table

__all__ = ["drift"]

DOSES = {"quick": (0.1, 0.3, 0.6), "full": (0.1, 0.2, 0.3, 0.4, 0.6, 0.8)}
"""Mean residual norms over the band."""

RANDOM = {"quick": 3, "full": 8}
PROMPTS = {"quick": 2, "full": 6}
COSTED = {"quick": 1, "full": 6}
"""Questions whose unsteered replies every concept is measured on."""

TOKENS = 24

WRITTEN = {"quick": 6, "full": 12}
"""Display emotions whose replies are written; every concept's own cost is measured on a given reply."""

TOGETHER = 8
"""Concepts scored in one call, which share the blocks before the first that is steered."""

WRITING = 16
"""Directions under which replies are written beside each other."""

RISE = 0.01
"""Nats a token by which a stronger dose must cost more to count as costing more."""

MORE = 0.3
"""How many more replies must break."""

STEADY = (0.9, 0.75)
"""Share of the concepts whose cost must rise at every step, and the least lower end of its interval."""

BROKEN = 1.0
"""Nats a token by which a steered reply may surprise the unsteered model before it counts as broken; a reply
that goes round in circles counts as broken too."""


def drift(lab: Lab) -> Result:
    """For every concept: what steering costs the model in predicting its own unsteered replies. For some
    emotions and random directions: how many replies written under steering are broken."""
    everything, plain = with_random(lab.vectors, RANDOM[lab.scale], 0)
    engine, prompts, doses = lab.engine(everything), everyday(PROMPTS[lab.scale]), DOSES[lab.scale]
    arms = [*lab.vectors.names, *plain]
    cost = _cost(lab, engine, prompts[: COSTED[lab.scale]], arms, doses)
    display = [name for name in DISPLAY if name in lab.names]
    shown = display[:: max(1, len(display) // WRITTEN[lab.scale])][: WRITTEN[lab.scale]]
    rows = _written(lab, engine, prompts, [*shown, *plain], plain, doses)
    weak, strong = (_shares(rows, dose).mean() for dose in (doses[0], doses[-1]))
    own, random = cost[: len(lab.vectors.names)], cost[len(lab.vectors.names) :]
    each = [
        {
            "concept": arm,
            "random": arm in plain,
            **{f"nats at {dose:g}": round(float(cost[i, d]), 5) for d, dose in enumerate(doses)},
        }
        for i, arm in enumerate(arms)
    ]
    at_last = mean(own[:, -1], "concepts")
    order = np.argsort(-own[:, -1])
    costly = ", ".join(f"{lab.vectors.names[i]} {own[i, -1]:.1f}" for i in order[:3])
    cheap = ", ".join(f"{lab.vectors.names[i]} {own[i, -1]:.1f}" for i in order[::-1][:3])
    return Result(
        "drift",
        "What does strength cost in coherence?",
        f"At a dose of {doses[0]:g}, {weak:.0%} of the replies are broken, at {doses[-1]:g} {strong:.0%}. "
        f"Over {len(own)} concepts a dose of {doses[-1]:g} costs {at_last} nats a token (random directions "
        f"{random[:, -1].mean():.2f}); most: {costly}; least: {cheap}.",
        (Table.of("doses", rows), Table.of("concepts", each)),
        (
            Drawn(
                "concepts",
                _spread(own, random, doses),
                "Loss of the model in nats a token on its own unsteered replies, while it is steered, less "
                "that "
                "without steering: every concept a line, random directions dotted. It shows what steering "
                "does "
                "to prediction, not whether the text says what was meant.",
            ),
            Drawn(
                "doses",
                _broken(rows, doses),
                "Share of replies written under steering that surprise the unsteered model by more than a "
                "nat a "
                "token, loop or are empty. Dotted: random directions of the same norm. Few replies a point.",
            ),
        ),
        (_falls(rows, [doses[0], doses[-1]], own),),
        (
            f"{len(prompts)} everyday questions, greedy replies of {TOKENS} tokens; what every concept costs "
            f"is measured on {COSTED[lab.scale]} of them. Doses in mean residual norms, shared out over "
            f"{len(lab.vectors.steer_layers)} layers, {lab.vectors.steer_variant} vectors.",
        ),
    )


def _falls(
    rows: Sequence[Mapping[str, Any]], ends: Sequence[float], cost: Float[np.ndarray, "concepts doses"]
) -> Check:
    """Whether more replies break at the strongest dose than at the weakest, and the cost rises at every
    step."""
    weak, strong = (_shares(rows, dose) for dose in ends)
    more = gain(strong, weak, "emotions")
    steady = int((np.diff(cost, axis=1) > RISE).all(axis=1).sum())
    rises = count(steady, len(cost), "concepts")
    breaks = more.value >= MORE and more.low > 0
    return Check(
        "coherence falls with strength",
        "content is getting lost at 0.5",
        "93 → 53 → 24 of 100 at 0.1, 0.2, 0.3",
        f"broken {weak.mean():.2f} at {ends[0]:g}, {strong.mean():.2f} at {ends[1]:g}: {more} more, of "
        f"{int(rows[0]['n'])} replies each; cost rises at every step for {rises}",
        f"at least {MORE:g} more replies broken at the strongest dose than at the weakest (95 % interval "
        f"above 0), and the cost rising by {RISE:g} nats at every step for {STEADY[0]:g} of the concepts "
        f"(lower end of the interval at least {STEADY[1]:g}); partly: one of the two",
        ("not reproduced", "partly", "reproduced")[
            int(breaks) + int(rises.value >= STEADY[0] and rises.low >= STEADY[1])
        ],
    )


def _shares(rows: Sequence[Mapping[str, Any]], dose: float) -> Float[np.ndarray, " emotions"]:
    """Of each emotion's replies at a dose, those that are broken."""
    return np.array([row["broken"] for row in rows if row["dose"] == dose and not row["random"]])


def _cost(
    lab: Lab, engine: TransformersEngine, prompts: Sequence[str], arms: Sequence[str], doses: Sequence[float]
) -> Float[np.ndarray, "arms doses"]:
    """Mean loss under each arm and dose on the model's own unsteered replies, less that without steering."""
    own = [
        (text, reply.tokens)
        for text, reply in zip(prompts, replies(lab, engine, prompts, TOKENS, stage="drift"), strict=True)
        if reply.tokens
    ]
    if not own:
        return np.full((len(arms), len(doses)), np.nan)
    chats = [[{"role": "user", "content": text}] for text, _ in own]
    said = [tokens for _, tokens in own]
    base = np.array([float(np.mean(score)) for score in engine.score(chats, said)])
    cost = np.zeros((len(arms), len(doses)))
    for at in range(0, len(arms), TOGETHER):
        some = arms[at : at + TOGETHER]

        def measure(some: Sequence[str] = some) -> list[float]:
            biases = [{arm: {"dose": dose}} for arm in some for dose in doses for _ in own]
            times = len(some) * len(doses)
            return [float(np.mean(score)) for score in engine.score(chats * times, said * times, biases)]

        means = np.array(lab.parts.once(f"cost {at}", measure)).reshape(len(some), len(doses), len(own))
        cost[at : at + len(some)] = (base - means).mean(axis=2)
        lab.told("drift, every concept", at + len(some), len(arms))
    return cost


def _written(
    lab: Lab,
    engine: TransformersEngine,
    prompts: Sequence[str],
    arms: Sequence[str],
    plain: Sequence[str],
    doses: Sequence[float],
) -> list[dict[str, Any]]:
    sampling = Sampling(max_tokens=TOKENS, stop=() if lab.has_template else ("\nHuman:",))
    base, _ = losses(engine, prompts, [None] * len(prompts), sampling)
    rows: list[dict[str, Any]] = []
    for at in range(0, len(arms), WRITING):
        some = arms[at : at + WRITING]

        def measure(some: Sequence[str] = some) -> tuple[list[float], list[str]]:
            biases = [{arm: {"dose": dose}} for arm in some for dose in doses for _ in prompts]
            lost, texts = losses(engine, list(prompts) * (len(some) * len(doses)), biases, sampling)
            return lost.tolist(), texts[:: len(prompts)]

        lost, texts = lab.parts.once(f"written {at}", measure)
        own = iter(zip(np.reshape(lost, (-1, len(prompts))), texts, strict=True))
        for arm in some:
            rows += [_row(arm, arm in plain, dose, base, *next(own)) for dose in doses]
        lab.told("drift, written", at + len(some), len(arms))
    return rows


def _row(
    arm: str,
    random: bool,
    dose: float,
    base: Float[np.ndarray, " prompts"],
    lost: Float[np.ndarray, " prompts"],
    reply: str,
) -> dict[str, Any]:
    """What a dose of one direction did to the replies; the first of them as an example."""
    there = np.isfinite(lost) & np.isfinite(base)
    rise = lost - np.where(there, base, 0.0)
    figure = mean(rise[there], "replies")
    return {
        "arm": arm,
        "random": random,
        "dose": dose,
        "nats": figure.value,
        "low": figure.low,
        "high": figure.high,
        "broken": float(np.mean(~there | (rise > BROKEN))),
        "n": len(base),
        "reply": reply,
    }


def _spread(
    own: Float[np.ndarray, "concepts doses"],
    random: Float[np.ndarray, "random doses"],
    doses: Sequence[float],
) -> Drawing:
    chart = Drawing()
    for values, line in ((own, {"color": BLUE, "width": 0.5}), (random, {"color": GREY, "dash": "dot"})):
        for row in values:
            chart.add_trace(
                Scatter(x=[0, *doses], y=[0, *np.round(row, 4)], mode="lines", line=line, opacity=0.6)
            )
    chart.update_layout(
        xaxis_title="dose, mean residual norms",
        yaxis_title="loss, nats a token",
        showlegend=False,
        height=400,
    )
    return chart


def _broken(rows: Sequence[dict[str, Any]], doses: Sequence[float]) -> Drawing:
    arms = list(dict.fromkeys((row["arm"], row["random"]) for row in rows))
    chart = Drawing(
        [
            Scatter(
                x=list(doses),
                y=[row["broken"] for row in rows if row["arm"] == arm],
                name=arm,
                line={"color": GREY, "dash": "dot"} if random else None,
            )
            for arm, random in arms
        ]
    )
    chart.update_layout(
        xaxis_title="dose, mean residual norms", yaxis_title="share of broken replies", showlegend=True
    )
    return chart
