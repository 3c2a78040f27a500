"""The figures of an audit's page."""

from __future__ import annotations

import numpy as np
from plotly.graph_objects import Bar, Figure, Heatmap, Scatter
from plotly.subplots import make_subplots

from affekt.audit.comparison import ALL, Comparison, Directions, Shift
from affekt.audit.measure import VIEWS
from affekt.reading.sheet import BLUE, GREY, RED

__all__ = ["agreement", "clusters", "layers", "ranking", "scatter", "turns"]

ROWS = 14
"""Rises and falls in the ranking."""


def ranking(comparison: Comparison, view: str) -> Figure:
    """The farthest rises and falls, with intervals and each one's floor."""
    shifts = [one for one in comparison.shifts(view, ALL) if np.isfinite(one.shift)]
    chosen = shifts if len(shifts) <= 2 * ROWS else [*shifts[:ROWS], *shifts[-ROWS:]]
    chosen = chosen[::-1]
    names = [one.name for one in chosen]
    figure = Figure()
    figure.add_trace(
        Bar(
            y=names,
            x=[2 * one.floor for one in chosen],
            base=[-one.floor for one in chosen],
            orientation="h",
            marker_color="rgba(138,136,128,.3)",
            name="noise floor",
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        Scatter(
            y=names,
            x=[one.shift for one in chosen],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [one.high - one.shift for one in chosen],
                "arrayminus": [one.shift - one.low for one in chosen],
                "thickness": 1,
                "color": GREY,
            },
            mode="markers",
            marker={"color": [_colour(one) for one in chosen], "size": 8},
            name="shift",
            text=[_about(one) for one in chosen],
            hoverinfo="text",
        )
    )
    figure.update_layout(
        title=f"Shift in z: {VIEWS[view]}", height=120 + 20 * len(chosen), showlegend=False, barmode="overlay"
    )
    return figure


def scatter(comparison: Comparison, view: str) -> Figure:
    """Every emotion, the reference against tuned."""
    shifts = comparison.shifts(view, ALL)
    figure = Figure(
        Scatter(
            x=[one.base for one in shifts],
            y=[one.tuned for one in shifts],
            mode="markers",
            marker={"color": [_colour(one) for one in shifts], "size": 7},
            text=[_about(one) for one in shifts],
            hoverinfo="text",
        )
    )
    values = [value for one in shifts for value in (one.base, one.tuned) if np.isfinite(value)] or [0.0, 1.0]
    figure.add_trace(
        Scatter(
            x=[min(values), max(values)],
            y=[min(values), max(values)],
            mode="lines",
            line={"color": GREY, "dash": "dot"},
            hoverinfo="skip",
        )
    )
    r = comparison.likeness(view, ALL)
    figure.update_layout(
        title=f"{comparison.against.capitalize()} against tuned: {VIEWS[view]}, r = {r:.2f}",
        xaxis_title=f"mean z, {comparison.against}",
        yaxis_title="mean z, tuned",
        height=480,
        showlegend=False,
    )
    return figure


def agreement(comparison: Comparison, one: str, other: str) -> Figure:
    """For every view, the shift on one group of prompts against that on another."""
    figure = make_subplots(
        1,
        len(comparison.views),
        subplot_titles=[
            f"{view}, r = {comparison.agreement(view, one, other):.2f}" for view in comparison.views
        ],
    )
    for column, view in enumerate(comparison.views, 1):
        there = {shift.name: shift for shift in comparison.shifts(view, other)}
        here = comparison.shifts(view, one)
        figure.add_trace(
            Scatter(
                x=[shift.shift for shift in here],
                y=[there[shift.name].shift for shift in here],
                text=[shift.name for shift in here],
                mode="markers",
                marker={"color": GREY, "size": 6},
                hovertemplate="%{text}: %{x:.2f}, %{y:.2f}<extra></extra>",
            ),
            1,
            column,
        )
        figure.update_xaxes(title_text=f"shift, {one}", row=1, col=column)
        figure.update_yaxes(title_text=f"shift, {other}" if column == 1 else "", row=1, col=column)
    figure.update_layout(height=380, showlegend=False)
    return figure


def clusters(comparison: Comparison, view: str) -> Figure | None:
    """The clusters' shifts at every layer; None where there are no clusters."""
    names = [one.name for one in comparison.quantities if one.kind == "cluster"]
    if not names:
        return None
    values = comparison.cluster_by_layer[comparison.views.index(view)]
    most = float(np.nanmax(np.abs(values))) or 1.0
    figure = Figure(
        Heatmap(
            z=values.T,
            x=[str(layer) for layer in comparison.layers],
            y=names,
            colorscale=[[0, BLUE], [0.5, "rgba(138,136,128,.15)"], [1, RED]],
            zmid=0,
            zmin=-most,
            zmax=most,
            hovertemplate="%{y}, layer %{x}: %{z:.2f}<extra></extra>",
        )
    )
    figure.update_layout(
        title=f"Shift by cluster and layer: {VIEWS[view]}",
        xaxis_title="layer",
        xaxis_type="category",
        height=380,
    )
    return figure


def turns(directions: Directions) -> Figure:
    """Cosines between both models' own vectors of each concept, and what different concepts have."""
    ordered = sorted(directions.cosine.items(), key=lambda one: one[1])
    figure = Figure(
        Scatter(
            x=[cosine for _, cosine in ordered],
            y=[(i + 1) / len(ordered) for i in range(len(ordered))],
            mode="markers",
            marker={"color": GREY, "size": 6},
            text=[f"{name}: {cosine:.2f}" for name, cosine in ordered],
            hoverinfo="text",
        )
    )
    figure.add_vrect(-directions.chance, directions.chance, fillcolor="rgba(138,136,128,.2)", line_width=0)
    lowest = min(-directions.chance, ordered[0][1])
    figure.update_layout(
        title="Did the directions turn? Cosine of each concept's vectors in both models",
        xaxis={"title": "cosine", "range": [lowest - 0.05, 1.05]},
        yaxis_title="share of the concepts up to here",
        height=300,
        showlegend=False,
    )
    return figure


def layers(comparison: Comparison) -> Figure:
    """How large the shift is at each layer, for every view."""
    figure = Figure(
        [
            Scatter(x=list(comparison.layers), y=sizes, name=view, mode="lines+markers")
            for view, sizes in zip(comparison.views, comparison.size_by_layer, strict=True)
        ]
    )
    figure.update_layout(
        title="Size of the shift by layer",
        xaxis_title="layer",
        yaxis_title="root mean square of the shift",
        height=340,
    )
    return figure


def _colour(one: Shift) -> str:
    if not one.called:
        return GREY
    return RED if one.shift > 0 else BLUE


def _about(one: Shift) -> str:
    return (
        f"{one.name}: {one.base:+.2f} → {one.tuned:+.2f}, shift {one.shift:+.2f} "
        f"[{one.low:+.2f}, {one.high:+.2f}], floor {one.floor:.2f}"
    )
