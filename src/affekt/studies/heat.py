"""Heat maps of one look: blue below, red above, nothing at the middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Heatmap

from affekt.reading.sheet import BLUE, RED

__all__ = ["SCALE", "cells", "heat"]

SCALE = [[0, BLUE], [0.5, "rgba(138,136,128,.15)"], [1, RED]]
"""Colours from below to above the middle."""


def cells(
    values: Float[np.ndarray, "rows columns"],
    columns: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    digits: int | None = None,
    **more: Any,
) -> Heatmap:
    """The trace alone, the first row on top where the axis is reversed.

    Args:
        values: what is drawn.
        columns: names along the top or bottom.
        rows: names along the side.
        digits: decimals written into each cell; none by default.
        more: other settings of plotly's heat map; `zmid` is 0 unless told otherwise.

    Raises:
        ValueError: there are not as many names as rows or columns; plotly would draw the cells that have one.
    """
    for names, size, what in ((rows, values.shape[0], "rows"), (columns, values.shape[1], "columns")):
        if names is not None and len(names) != size:
            raise ValueError(f"{len(names)} names for {size} {what}")
    written = {} if digits is None else {"texttemplate": f"%{{z:.{digits}f}}"}
    return Heatmap(
        z=np.round(values, 3), x=columns, y=rows, **({"zmid": 0, "colorscale": SCALE} | written | more)
    )


def heat(
    values: Float[np.ndarray, "rows columns"],
    columns: Sequence[str],
    rows: Sequence[str],
    across: str = "",
    down: str = "",
    digits: int | None = None,
    height: int = 480,
    **more: Any,
) -> Drawing:
    """A whole figure, the first row on top.

    Args:
        values: what is drawn.
        columns: names of the columns.
        rows: names of the rows.
        across: title of the columns' axis.
        down: title of the rows' axis.
        digits: decimals written into each cell; none by default.
        height: in pixels.
        more: other settings of plotly's heat map.
    """
    chart = Drawing(cells(values, list(columns), list(rows), digits, **more))
    chart.update_layout(
        xaxis_title=across or None, yaxis_title=down or None, height=height, yaxis_autorange="reversed"
    )
    return chart
