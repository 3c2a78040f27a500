"""The scores of a corpus as one HTML page: how far each concept reaches, and its strongest passages."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from affekt.reading.pieces import visible
from affekt.reading.sheet import BLUE, GREY, RED, drawn, sheet, table
from affekt.scoring.outcome import Scores
from affekt.scoring.strongest import Passage

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["page"]

DRAWN = 40
"""Concepts in the figure."""

CAPTION = (
    "Percentiles of z over all tokens that count, in this corpus: they describe it and are no estimate for "
    "another. A z of 0 is the neutral reference of the vectors. The farthest percentiles rest on few tokens; "
    "the passages below show which."
)


def page(scores: Scores) -> str:
    """Everything about a run that people look at: figure, passages by concept, the table of all concepts."""
    cut = f" {scores.cut:,} were longer than what was read of them." if scores.cut else ""
    left = f" {len(scores.faults):,} were left out (summary.json names them)." if scores.faults else ""
    body = [
        f'<p class="lead">{scores.documents:,} documents, {scores.tally.spread.tokens:,} tokens that count, '
        f"read by {escape(scores.model.name)} ({escape(scores.model.dtype)}) at layer {scores.layer}.{cut}"
        f"{left}</p>",
        drawn(_reach(scores), CAPTION),
        "<h2>The strongest passages</h2>",
        "<p>One a document, the concept's strongest token marked. Whether they fit is for the reader to "
        "say.</p>",
        *(_passages(scores, name) for name in sorted(scores.concepts)),
        "<h2>All concepts</h2>",
        _table(scores),
    ]
    return sheet("What a corpus carries", "".join(body))


def _reach(scores: Scores) -> Figure:
    from plotly.graph_objects import Figure, Scatter

    columns = scores.percentiles()
    order = sorted(range(len(scores.concepts)), key=lambda i: -columns["p99.9"][i])[:DRAWN][::-1]
    names = [scores.concepts[i] for i in order]
    figure = Figure()
    for key, colour, label in (
        ("p50", GREY, "median"),
        ("p90", BLUE, "90 %"),
        ("p99", RED, "99 %"),
        ("p99.9", RED, "99.9 %"),
    ):
        marker = {"color": colour, "size": 8, "symbol": "circle-open" if key == "p99.9" else "circle"}
        values = [columns[key][i] for i in order]
        figure.add_trace(Scatter(x=values, y=names, mode="markers", name=label, marker=marker))
    figure.update_layout(height=120 + 18 * len(names), legend={"orientation": "h"}, xaxis_title="z")
    return figure


def _passages(scores: Scores, name: str) -> str:
    own = scores.tally.strongest.best[scores.concepts.index(name)]
    if not own:
        return ""
    items = "".join(f"<li>{_marked(one)} <small>z {one.z:.2f}, {escape(one.id)}</small></li>" for one in own)
    return (
        f"<details><summary>{escape(name)} <small>up to z {own[0].z:.2f}</small></summary><ol>{items}</ol>"
        "</details>"
    )


def _marked(one: Passage) -> str:
    before, word, after = (escape(visible(part)) for part in (one.before, one.word, one.after))
    return f"{before}<mark>{word}</mark>{after}"


def _table(scores: Scores) -> str:
    columns = scores.percentiles()
    shown = ("p1", "p50", "p90", "p99", "p99.9", "max")
    rows = []
    for i in sorted(range(len(scores.concepts)), key=lambda i: scores.concepts[i]):
        mean, margin = columns["mean"][i], columns["margin"][i]
        sure = f"{mean:+.2f} ± {margin:.2f}" if margin == margin else f"{mean:+.2f}"
        rows.append((scores.concepts[i], sure, *(f"{columns[key][i]:+.2f}" for key in shown)))
    note = (
        f"<p>Mean z over {scores.tally.spread.tokens:,} tokens with the 95 % interval that "
        f"{scores.tally.moments.documents:,} documents drawn anew would give.</p>"
    )
    return note + table(("concept", "mean", *shown), rows)
