"""What the rules watch, over the checkpoints of one training, as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence

from plotly.graph_objects import Figure, Scatter

from affekt.audit.history import Entry
from affekt.reading.sheet import GREY, drawn, sheet, table

__all__ = ["lines"]


def lines(history: Sequence[Entry]) -> str:
    """A figure for each place and group, a line for each concept, and the verdicts below."""
    seen = dict.fromkeys((shift["view"], shift["group"]) for one in history for shift in one.shifts)
    body = "".join(
        drawn(
            _figure(history, view, group),
            "Shift in z with its 95 % interval over prompts; the dotted lines are the noise floor of the "
            "last "
            "checkpoint, the largest of the concepts'. A line may cross it by chance.",
        )
        for view, group in seen
    )
    rows = [(f"{one.step:g}", one.tuned, one.verdict, one.time) for one in history]
    title = "Shifts over training"
    if history and history[-1].against == "controls":
        title += ", against the mean of the controls"
    return sheet(title, body + table(("step", "model", "verdict", "time"), rows, words=4))


def _figure(history: Sequence[Entry], view: str, group: str) -> Figure:
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    floor = 0.0
    for one in history:
        here = [shift for shift in one.shifts if (shift["view"], shift["group"]) == (view, group)]
        floor = max((shift["floor"] for shift in here), default=floor)
        for shift in here:
            found.setdefault(shift["name"], []).append(
                (one.step, shift["shift"], shift["high"] - shift["shift"], shift["shift"] - shift["low"])
            )
    figure = Figure(
        [
            Scatter(
                x=[point[0] for point in points],
                y=[point[1] for point in points],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [point[2] for point in points],
                    "arrayminus": [point[3] for point in points],
                    "thickness": 1,
                },
                name=name,
                mode="lines+markers",
            )
            for name, points in found.items()
        ]
    )
    for level in (floor, -floor):
        figure.add_hline(y=level, line={"color": GREY, "dash": "dot"})
    figure.update_layout(
        title=f"{view}, {group} prompts",
        xaxis_title="step",
        yaxis_title="shift in z",
        height=400,
        showlegend=True,
    )
    return figure
