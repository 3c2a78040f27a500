"""Anger told, hidden and met: what three directions read on messages that may make one angry (paper 6.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Scatter
from torch import Tensor

from affekt.concepts.shipped import anger as messages
from affekt.quality.bootstrap import mean, statistic
from affekt.quality.figure import Figure
from affekt.reading.sheet import BLUE, GREY, RED
from affekt.steering.control import random_directions
from affekt.studies.lab import Lab
from affekt.studies.prompts.places import WORDS, of_prompts, of_replies
from affekt.studies.prompts.stated import stated
from affekt.studies.replies import replies
from affekt.studies.result import Check, Drawn, Table, by_sign
from affekt.vectors.directions import unit

__all__ = ["WHAT", "Angers", "anger", "angers"]

TOKENS = {"quick": 16, "full": 48}
"""The longest reply."""

PLACES = (WORDS, "the reply")

OTHERS = ("injustice", "calm", "neutral")
"""Kinds on which a direction of anger that is not shown should be low; positive ones are left out, since it
fires on some of them in the paper as well, unexplained."""

MIXTURES = 1000

WHAT = "anger not shown is read in replies to attacks, not to wrongs done to others; beyond random mixtures"


@dataclass(frozen=True, eq=False)
class Angers:
    """Three directions of anger, and random mixtures beside them."""

    directions: Mapping[str, Float[Tensor, " d_model"]]
    """Name -> unit vector."""
    mixtures: Float[Tensor, "mixtures d_model"]
    """Of the vectors that one of the three is among."""


STORY, HIDDEN, OUTSIDE = "anger of stories", "anger not shown", "anger not shown, outside story space"


def angers(
    story: Float[Tensor, " d_model"],
    hidden: Float[Tensor, "emotions d_model"],
    at: int,
    rest: Float[Tensor, "emotions d_model"],
) -> Angers:
    """Of the story vector of anger, the vectors of what is felt and not shown (anger the `at`-th), and these
    with the space of the stories taken away."""
    drawn = random_directions(MIXTURES, hidden.shape[1], 0, sample=hidden)
    return Angers({STORY: unit(story), HIDDEN: unit(hidden[at]), OUTSIDE: unit(rest[at])}, unit(drawn))


def anger(lab: Lab, own: Angers) -> tuple[Table, Drawn, Check]:
    """What is read on each kind of message and on the model's own reply to it, less the mean over neutral
    messages; whether anger that is not shown is read in replies to attacks alone."""
    asked = messages()
    texts, kinds = [m.text for m in asked], np.array([m.kind for m in asked])
    written = replies(lab, lab.engine(), texts, TOKENS[lab.scale], stage="deflection, replies to provocation")
    asked_of = of_prompts(lab, [stated(text) for text in texts], "deflection, provocations")
    rows = {WORDS: asked_of[WORDS], PLACES[1]: of_replies(lab, written)}
    read = {
        (name, place): _from_neutral((held @ direction).double().numpy(), kinds)
        for place, held in rows.items()
        for name, direction in own.directions.items()
    }
    table = Table.of(
        "anger",
        [
            {"direction": name, "place": place, "kind": kind}
            | _columns(mean(values[kinds == kind], "messages"))
            for (name, place), values in read.items()
            for kind in dict.fromkeys(kinds.tolist())
        ],
    )
    said = rows[PLACES[1]]
    along = _from_neutral((said @ own.mixtures.T).double().numpy(), kinds)
    reach = float(np.quantile(np.abs([_apart(column, kinds) for column in along.T]), 0.95))
    values = read[HIDDEN, PLACES[1]]
    figure = statistic(lambda drawn: _apart(values[drawn], kinds[drawn]), len(values), "messages")
    check = by_sign(
        WHAT,
        "on the Assistant turn for attacks only (figure 64)",
        "–",
        figure,
        least=round(reach, 4),
    )
    drawn = Drawn(
        "anger",
        _points(read, kinds),
        "Projection of the mean residual over the user's words and over the model's own reply on three "
        "directions of anger, less the mean over neutral messages; a point a message. Red: attacks on the "
        "assistant, blue: injustice to others, grey: the others. It does not show that the model is angry.",
    )
    return table, drawn, check


def _from_neutral(values: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    less: np.ndarray = values - np.nanmean(values[kinds == "neutral"], axis=0)
    return less


def _apart(values: Float[np.ndarray, " messages"], kinds: np.ndarray) -> float:
    """Attacks above the others."""
    attack, others = values[kinds == "attack"], values[np.isin(kinds, OTHERS)]
    attack, others = attack[np.isfinite(attack)], others[np.isfinite(others)]
    return float(attack.mean() - others.mean()) if len(attack) and len(others) else float("nan")


def _columns(figure: Figure) -> dict[str, float | int]:
    return {"value": figure.value, "low": figure.low, "high": figure.high, "n": figure.n}


def _points(read: Mapping[tuple[str, str], np.ndarray], kinds: Sequence[str] | np.ndarray) -> Drawing:
    from plotly.subplots import make_subplots

    names = list(dict.fromkeys(name for name, _ in read))
    chart = make_subplots(
        rows=1,
        cols=len(names),
        subplot_titles=[name.replace(", ", ",<br>") for name in names],
        shared_yaxes=True,
    )
    for at, name in enumerate(names, 1):
        for label, some, colour in (
            ("others", [k not in ("attack", "injustice") for k in kinds], GREY),
            ("injustice", [k == "injustice" for k in kinds], BLUE),
            ("attack", [k == "attack" for k in kinds], RED),
        ):
            chart.add_trace(
                Scatter(
                    x=np.round(read[name, PLACES[0]][some], 4),
                    y=np.round(read[name, PLACES[1]][some], 4),
                    mode="markers",
                    name=label,
                    marker={"color": colour, "size": 7, "opacity": 0.8},
                    showlegend=at == 1,
                ),
                row=1,
                col=at,
            )
        chart.update_xaxes(title_text=PLACES[0], row=1, col=at)
    chart.update_yaxes(title_text=PLACES[1], row=1, col=1)
    chart.update_annotations(font_size=11)
    chart.update_layout(height=380)
    return chart
