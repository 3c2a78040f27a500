"""A report as one HTML page: prose, tables and plotly figures, offline, in light and dark, fit to print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from affekt.reading.colour import DARK, LIGHT, Paper, hexadecimal

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["BLUE", "GREY", "RED", "drawn", "sheet", "table"]

RED, BLUE, GREY = "#c8443a", "#3a6fc8", "#8a8880"
"""A rise, a fall, and what is neither."""


def sheet(title: str, body: str, style: str = "", script: str = "") -> str:
    """The page around a body made of `drawn` figures, `table`s and HTML; 4.6 MB of it are plotly itself.

    Args:
        title: of the page.
        body: what stands on it.
        style: CSS of the page's own, after the sheet's.
        script: JavaScript of its own, at the end.
    """
    from plotly.offline import get_plotlyjs

    common = (resources.files("affekt.reading") / "assets" / "sheet.css").read_text(encoding="utf-8")
    last = f"<script>{script}</script>\n" if script else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
:root{{{_colours(LIGHT)}}}
@media (prefers-color-scheme:dark){{:root{{{_colours(DARK)}}}}}
{common}{style}</style>
<script>{get_plotlyjs()}</script>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
{last}</body>
</html>
"""


def drawn(figure: Figure, caption: str, number: int | None = None) -> str:
    """A figure with what it shows and what it does not under it; readable on light and on dark paper.

    Args:
        figure: the plotly figure; its colours and margins are set here.
        caption: also what a screen reader says in its place.
        number: stands before the caption, and in the figure's address.
    """
    figure.update_layout(
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": GREY, "family": "system-ui, sans-serif", "size": 12},
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
    )
    lines = {
        "gridcolor": "rgba(138,136,128,.25)",
        "zerolinecolor": "rgba(138,136,128,.6)",
        "automargin": True,
    }
    figure.update_xaxes(**lines)
    figure.update_yaxes(**lines)
    html = figure.to_html(
        full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True}
    )
    where = f' id="figure-{number}"' if number is not None else ""
    told = f"<b>Figure {number}.</b> " if number is not None else ""
    return (
        f'<figure{where}><div role="img" aria-label="{escape(caption)}">{html}</div>'
        f"<figcaption>{told}{escape(caption)}</figcaption></figure>"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """A table; the first `words` columns are text, the others figures."""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    kinds = ["word"] * words + ["number"] * (len(heads) - words)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{kind}">{escape(cell)}</td>' for kind, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _colours(paper: Paper) -> str:
    return f"--ink:{hexadecimal(paper.ink)};--ground:{hexadecimal(paper.ground)}"
