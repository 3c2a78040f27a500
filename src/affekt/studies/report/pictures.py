"""Figures as PNG, for papers and slides, where a Chromium is there to draw them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affekt.studies.result import Result

__all__ = ["draw"]

INK = "#22211f"


def draw(folder: Path, results: Sequence[Result]) -> str | None:
    """Writes `NAME.png` beside each figure of a model's folder that has none yet, or an older one.

    Args:
        folder: of the model's results.
        results: the studies in it.

    Returns:
        Why there are none; None where all are drawn.
    """
    wanted = [
        (each.drawing, folder / result.study / f"{each.name}.png")
        for result in results
        for each in result.drawn
        if _is_older(
            folder / result.study / f"{each.name}.png", folder / result.study / f"{each.name}.plotly.json"
        )
    ]
    if not wanted:
        return None
    try:
        import kaleido  # noqa: F401  # plotly only says at the first figure that it is not there
        from plotly.graph_objects import Figure
        from plotly.io import write_images
    except ImportError:
        return "kaleido is not installed; pip install 'affekt[study]'"
    figures = []
    for drawing, _ in wanted:
        figure = Figure(drawing)
        figure.update_layout(
            paper_bgcolor="white",
            plot_bgcolor="white",
            font={"color": INK, "family": "sans-serif", "size": 13},
            margin={"l": 20, "r": 20, "t": 50, "b": 20},
        )
        figure.update_xaxes(automargin=True)
        figure.update_yaxes(automargin=True)
        figures.append(figure)
    try:
        write_images(fig=figures, file=[str(file) for _, file in wanted], width=900, scale=2)
    except Exception as error:  # its browser's own errors, of many kinds
        return f"no Chromium drew them ({' '.join(str(error).split())[:120]})"
    return None


def _is_older(picture: Path, source: Path) -> bool:
    if not source.exists():
        return False
    return not picture.exists() or picture.stat().st_mtime < source.stat().st_mtime
