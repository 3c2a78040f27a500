"""Study 11 (paper 10): what strength costs in coherence, emotion by emotion."""

from __future__ import annotations

from typing import Any

import numpy as np
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Scatter

from affekt.engines import Sampling
from affekt.quality.bootstrap import mean
from affekt.quality.coherence import everyday, losses
from affekt.quality.controls import with_random
from affekt.quality.naming import DISPLAY
from affekt.reading.sheet import GREY
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Drawn, Result, Table

__all__ = ["drift"]

DOSES = (0.1, 0.2, 0.4, 0.8)
EMOTIONS = {"quick": 3, "full": 12}
RANDOM = {"quick": 1, "full": 4}
PROMPTS = {"quick": 4, "full": 10}
TOKENS = 24

BROKEN = 1.0
"""Nats a token by which a steered reply may surprise the unsteered model before it counts as broken; a reply
that goes round in circles counts as broken too."""


def drift(lab: Lab) -> Result:
    """The unsteered model's loss on replies steered at growing doses, for emotions and for random
    directions."""
    shown = [name for name in DISPLAY if name in lab.names]
    chosen = shown[:: max(1, len(shown) // EMOTIONS[lab.scale])][: EMOTIONS[lab.scale]]
    everything, plain = with_random(lab.vectors, RANDOM[lab.scale], 0)
    prompts = everyday(PROMPTS[lab.scale])
    engine = lab.engine(everything)
    sampling = Sampling(max_tokens=TOKENS, stop=() if lab.has_template else ("\nHuman:",))
    base, _ = losses(engine, prompts, [None] * len(prompts), sampling)
    rows: list[dict[str, Any]] = []
    arms = [*chosen, *plain]
    for done, arm in enumerate(arms, 1):
        for dose in DOSES:
            own, _ = losses(engine, prompts, [{arm: {"dose": dose}}] * len(prompts), sampling)
            there = np.isfinite(own) & np.isfinite(base)
            figure = mean((own - base)[there], "replies")
            broken = float(np.mean(~there | (own - np.where(there, base, 0) > BROKEN)))
            rows.append(
                {"arm": arm, "random": arm in plain, "dose": dose, "nats": figure.value, "low": figure.low}
                | {"high": figure.high, "broken": broken, "n": len(prompts)}
            )
        lab.told("drift", done, len(arms))
    chart = Drawing(
        [
            Scatter(
                x=[row["dose"] for row in rows if row["arm"] == arm],
                y=[row["broken"] for row in rows if row["arm"] == arm],
                name=arm,
                line={"color": GREY, "dash": "dot"} if arm in plain else None,
            )
            for arm in arms
        ]
    )
    chart.update_layout(
        xaxis_title="dose, mean residual norms", yaxis_title="share of broken replies", showlegend=True
    )
    strong = [row["broken"] for row in rows if row["dose"] == DOSES[-1] and not row["random"]]
    weak = [row["broken"] for row in rows if row["dose"] == DOSES[0] and not row["random"]]
    check = Check(
        "coherence falls with strength",
        "content is getting lost at 0.5",
        "93 → 53 → 24 of 100 at 0.1, 0.2, 0.3",
        f"broken {np.mean(weak):.2f} at {DOSES[0]:g}, {np.mean(strong):.2f} at {DOSES[-1]:g} (n = "
        f"{len(chosen)} emotions x {len(prompts)} replies)",
        "at least 0.3 more replies broken at the strongest dose than at the weakest",
        "reproduced" if np.mean(strong) - np.mean(weak) >= 0.3 else "not reproduced",
    )
    return Result(
        "drift",
        "What does strength cost in coherence?",
        f"At a dose of {DOSES[0]:g} {np.mean(weak):.0%} of the replies are broken, at {DOSES[-1]:g} "
        f"{np.mean(strong):.0%}.",
        (Table.of("doses", rows),),
        (
            Drawn(
                "doses",
                chart,
                "Share of replies that surprise the unsteered model by more than a nat a token, loop or are "
                "empty. Dotted: random directions of the same norm.",
            ),
        ),
        (check,),
        (f"{len(prompts)} everyday questions, greedy replies of {TOKENS} tokens.",),
    )
