"""Study 6 (paper 3.9): where in depth an emotion is read: what went before, a dose, negation, and who feels
it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Scatter

from affekt.quality.bootstrap import mean
from affekt.reading.sheet import BLUE
from affekt.studies.heat import cells
from affekt.studies.lab import Lab
from affekt.studies.layered.bank import bank
from affekt.studies.layered.changes import Change, binding, carried, dosed, negation
from affekt.studies.layered.minimal import NEGATED
from affekt.studies.result import Check, Drawn, Result, Table, by_sign

__all__ = ["layers"]

TOPICS = {"quick": 5, "full": None}
"""Stories for each emotion that the vectors of all layers are made of; None is all."""

EARLY, LATE = (0.0, 0.2), (0.55, 0.8)
"""Shares of depth that count as the sensory and as the action stage; set before any model was run."""


@dataclass(frozen=True)
class Rule:
    """What is judged of a change."""

    place: str
    """Where in the text."""
    rises: bool
    """Whether late layers are held against early ones, or against nothing."""
    what: str
    """The row of the checklist."""
    paper: str
    """What the paper saw."""


RULES = {
    "carried over": (
        Rule(
            "the same words after",
            True,
            "what went before is read on the same words after it, late more than early",
            "early layers about 0, late layers keep a difference (figure 12)",
        ),
        Rule(
            "the prompt's end",
            False,
            "what went before is read at the prompt's end, late layers",
            "very large at the colon (figure 12)",
        ),
    ),
    "dose": (
        Rule(
            "the prompt's end",
            False,
            "a dangerous dose is read at the prompt's end beyond the same number without danger, late layers",
            "sharp peak at the colon (figure 13)",
        ),
    ),
    "negation": (
        Rule(
            "the emotion's word",
            True,
            "a negated word is told from an affirmed one at the word, late more than early",
            "alike early, near zero late (figure 14)",
        ),
    ),
    "binding": (
        Rule(
            "the person named again",
            True,
            "the emotion of the person named again is above the other's, late more than early",
            "low early, rises late (figure 15)",
        ),
    ),
}
"""Change -> what is judged of it."""


def layers(lab: Lab) -> Result:
    """Differences between texts that differ in one thing, at every layer, beside random mixtures of the
    vectors."""
    names = [name for name in (*NEGATED, "terrified") if name in lab.names]
    probes = bank(lab, names, TOPICS[lab.scale])
    changes = {
        "carried over": carried(lab, probes),
        "dose": dosed(lab, probes),
        "negation": negation(lab, probes),
        "binding": binding(lab, probes),
    }
    rows = [row for kind, change in changes.items() for row in _rows(kind, change)]
    checks = [
        _check(changes[kind].places[rule.place], rule) for kind, rules in RULES.items() for rule in rules
    ]
    held = [check for check in checks if check.verdict == "reproduced"]
    return Result(
        "layers",
        "Where in depth is an emotion read?",
        f"Of {len(checks)} findings on depth, {len(held)} are seen beyond random mixtures of the vectors"
        + "".join(f"; {check.what}: {check.here}" for check in held)
        + ".",
        (Table.of("layers", rows), *(c.map_table(k) for k, c in changes.items() if c.map is not None)),
        (
            Drawn(
                "lines",
                _lines(rows),
                "Difference between two texts that differ in one thing, at the place named, by layer (in "
                "deviations of that layer's readings). Shaded: 95 % of random mixtures of the same vectors. "
                "Inside the shade any direction would do the same.",
            ),
            *(
                Drawn(
                    f"map of {kind}",
                    _map(change),
                    f"{change.about}, layer by token; the tokens that both texts share, to the prompt's end. "
                    f"One "
                    "pair of texts: an example, not a test.",
                )
                for kind, change in changes.items()
                if change.map is not None
            ),
        ),
        tuple(checks),
        (
            f"Vectors of {len(names)} emotions at all {len(probes.units)} layers, by difference of means "
            f"over "
            f"{probes.texts} stories. Early: up to {EARLY[1]:.0%} of depth; late: {LATE[0]:.0%} to "
            f"{LATE[1]:.0%}; both set beforehand.",
            "Intervals are over templates; a row needs its interval off 0 and a value beyond 97.5 % of "
            "random "
            "mixtures to count as reproduced.",
        ),
    )


def _share(layer: int, depth: int) -> float:
    return (layer + 1) / depth


def _stage(
    values: Float[np.ndarray, "layers *rest"], stage: tuple[float, float]
) -> Float[np.ndarray, " *rest"]:
    depth = len(values)
    inside = [i for i in range(depth) if stage[0] < _share(i, depth) <= stage[1]] or [
        round(stage[1] * (depth - 1))
    ]
    mean_of: Float[np.ndarray, " *rest"] = values[inside].mean(axis=0)
    return mean_of


def _check(place: Mapping[str, np.ndarray], rule: Rule) -> Check:
    own, random = (
        _stage(place[key], LATE) - (_stage(place[key], EARLY) if rule.rises else 0.0)
        for key in ("own", "random")
    )
    reach = float(np.quantile(np.abs(random.mean(axis=0)), 0.975))
    figure = mean(own, f"templates (97.5 % of random mixtures within {reach:.2f})")
    return by_sign(rule.what, rule.paper, "–", figure, least=round(reach, 3))


def _rows(kind: str, change: Change) -> list[dict[str, object]]:
    rows = []
    for where, place in change.places.items():
        depth = len(place["own"])
        for layer in range(depth):
            figure = mean(place["own"][layer], "templates")
            reach = float(np.quantile(np.abs(place["random"][layer].mean(axis=0)), 0.975))
            rows.append(
                {
                    "what": kind,
                    "place": where,
                    "layer": layer,
                    "share of depth": round(_share(layer, depth), 4),
                    "difference": figure.value,
                    "low": figure.low,
                    "high": figure.high,
                    "random mixtures, 97.5 %": reach,
                    "n": figure.n,
                }
            )
    return rows


def _lines(rows: Sequence[Mapping[str, object]]) -> Drawing:
    from plotly.subplots import make_subplots

    keys = list(dict.fromkeys((str(row["what"]), str(row["place"])) for row in rows))
    across = 3
    chart = make_subplots(
        rows=-(-len(keys) // across),
        cols=across,
        subplot_titles=[f"{kind}:<br>{place}" for kind, place in keys],
        vertical_spacing=0.12,
    )
    for at, key in enumerate(keys):
        some = [row for row in rows if (row["what"], row["place"]) == key]
        x = [row["layer"] for row in some]
        where = {"row": at // across + 1, "col": at % across + 1}
        reach = [float(row["random mixtures, 97.5 %"]) for row in some]  # type: ignore[arg-type]
        chart.add_trace(
            Scatter(
                x=[*x, *reversed(x)],
                y=[*reach, *(-r for r in reversed(reach))],
                fill="toself",
                fillcolor="rgba(138,136,128,.2)",
                line={"width": 0},
                hoverinfo="skip",
            ),
            **where,
        )
        chart.add_trace(
            Scatter(x=x, y=[row["difference"] for row in some], mode="lines", line={"color": BLUE}), **where
        )
    chart.update_annotations(font_size=11)
    chart.update_layout(height=230 * -(-len(keys) // across) + 60, showlegend=False)
    return chart


def _map(change: Change) -> Drawing:
    assert change.map is not None
    values, tokens = change.map
    chart = Drawing(cells(values, [f"{i}" for i in range(len(tokens))]))
    chart.update_layout(yaxis_title="layer", height=420)
    chart.update_xaxes(tickvals=list(range(len(tokens))), ticktext=tokens, tickangle=60, tickfont_size=9)
    return chart
