"""What is preferred, and what steering does to it: a table and two figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Scatter

from affekt.concepts.shipped import Activity
from affekt.reading.sheet import BLUE, GREY
from affekt.studies.result import Table

__all__ = ["effects", "ranked", "ranking"]

NAMED = 16
"""Points that are named in the picture; the others are under the pointer."""


def ranked(things: Sequence[Activity], strengths: np.ndarray, strict: np.ndarray, wins: np.ndarray) -> Table:
    """Each activity's strengths, soft and hard, and how often it is chosen; NaN where it was not compared."""
    return Table.of(
        "activities",
        [
            {
                "activity": thing.id,
                "category": thing.category,
                "words": thing.text,
                "elo": round(float(strengths[i]), 3),
                "hard elo": round(float(strict[i]), 3),
                "chosen when first": round(float(np.nanmean(wins[i])), 5),
                "chosen when second": round(float(1 - np.nanmean(wins[:, i])), 5),
            }
            for i, thing in enumerate(things)
        ],
    )


def ranking(things: Sequence[Activity], strengths: np.ndarray) -> Drawing:
    """Elo by category."""
    chart = Drawing(
        Scatter(
            x=strengths,
            y=[thing.category for thing in things],
            text=[thing.text for thing in things],
            mode="markers",
            marker={"color": BLUE, "opacity": 0.7, "size": 8},
            hovertemplate="%{text}: %{x:.0f}<extra></extra>",
        )
    )
    chart.update_layout(xaxis_title="Elo", height=380, showlegend=False)
    return chart


def effects(rows: Sequence[Mapping[str, object]]) -> Drawing:
    """Change of Elo under each direction against how it foretells Elo."""
    chart = Drawing()
    for label, of, colour in (("emotions", True, BLUE), ("random", False, GREY)):
        some = [row for row in rows if (row["kind"] == "emotion") is of]
        x = [row["r of the probe" if of else "r of the steering direction"] for row in some]
        y = [row["effect"] for row in some]
        chart.add_trace(
            Scatter(
                x=x,
                y=y,
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [float(row["high"]) - float(row["effect"]) for row in some],  # type: ignore[arg-type]
                    "arrayminus": [float(row["effect"]) - float(row["low"]) for row in some],  # type: ignore[arg-type]
                    "thickness": 0.7,
                },
                text=_named([str(row["arm"]) for row in some], np.array([x, y], dtype=float)) if of else None,
                hovertext=[row["arm"] for row in some],
                mode="markers+text" if of else "markers",
                textposition="top center",
                cliponaxis=False,
                name=label,
                marker={"color": colour},
            )
        )
    chart.update_layout(
        xaxis_title="r of what is read with Elo", yaxis_title="change of Elo under steering", height=460
    )
    return chart


def _named(names: Sequence[str], places: Float[np.ndarray, "2 points"]) -> list[str]:
    """The names of the outermost points, as many as can be read beside each other; the others are empty."""
    spread = places.std(axis=1, keepdims=True)
    out = np.linalg.norm((places - places.mean(axis=1, keepdims=True)) / np.where(spread, spread, 1), axis=0)
    shown = set(np.argsort(-out, kind="stable")[:NAMED].tolist())
    return [name if at in shown else "" for at, name in enumerate(names)]
