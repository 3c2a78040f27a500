"""A reading in the terminal: the text in red and blue, and the same in numbers."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from affekt.reading.colour import DARK, SCALE, STEPS, Paper, hexadecimal, ramp, step
from affekt.reading.parts import parts
from affekt.reading.pieces import Piece, about, inline, label, turns, visible
from affekt.reading.reading import Reading

__all__ = ["extremes", "heat", "legend", "render", "shade", "strongest_table"]

FAINT = Style(dim=True)
AROUND = 22
"""Characters of context on each side of a token in the table."""


def render(
    reading: Reading,
    names: Sequence[str] | None = None,
    *,
    scale: float | int = SCALE,
    paper: Paper = DARK,
    k: int = 5,
) -> Group:
    """A heat map and a table of its extremes for each concept, then the strongest concepts of each part.

    Args:
        reading: what to show.
        names: the concepts in colour; none given is the one of the highest mean.
        scale: the |z| of full colour.
        paper: `colour.DARK` for a dark terminal, `colour.LIGHT` for a light one.
        k: rows in each table.

    Raises:
        UnknownConcept: for a name that the reading does not hold.
    """
    blocks: list[RenderableType] = [Text(about(reading), FAINT)]
    if not len(reading) or not reading.concepts:
        return Group(*blocks, Text(visible(reading.text)))
    blocks.append(legend(scale, paper))
    for name in [reading.top(1)[0][0]] if names is None else names:
        blocks += [
            Text(f"\n{inline(name)}", style=Style(bold=True)),
            heat(reading, name, scale=scale, paper=paper),
            Text(),
            extremes(reading, name, k),
        ]
    return Group(*blocks, Text(), strongest_table(reading, k))


def shade(z: float | int, scale: float | int = SCALE, paper: Paper = DARK) -> Style:
    """The style of a token: its colour, and bold or underlined from half the scale on, for want of colour."""
    at = step(z, scale)
    if at == 0:
        return Style.null()
    ground, ink = hexadecimal(ramp(paper)[at + STEPS]), hexadecimal(paper.ink)
    return Style(color=ink, bgcolor=ground, bold=2 * at >= STEPS, underline=2 * at <= -STEPS)


def heat(reading: Reading, name: str, *, scale: float | int = SCALE, paper: Paper = DARK) -> Text:
    """The text, each token in the colour of one concept's z; newlines as ↵, scaffolding dimmed."""
    z = reading.of(name)
    text = Text(overflow="fold")
    for turn in turns(reading):
        if text:
            text.append("\n")
        if turn.role not in ("", "text"):
            text.append(f"{turn.role.replace('generation', 'prompt end')}\n", Style(italic=True, dim=True))
        for piece in turn.pieces:
            style = FAINT if piece.scaffold or not piece.text else Style.null()
            if piece.token is not None:
                style += shade(float(z[piece.token]), scale, paper)
            text.append(_shown(piece), style)
    return text


def extremes(reading: Reading, name: str, k: int = 5) -> Table:
    """The tokens of the highest and of the lowest z of one concept, with the words around them."""
    tokens = reading.content() or reading
    z = tokens.of(name)
    order = z.argsort(kind="stable")[::-1].tolist()
    lowest = max(0, min((k + 1) // 2, len(order) - k))
    table = _table()
    table.add_column("z", justify="right", no_wrap=True)
    table.add_column("part", style=FAINT, no_wrap=True)
    table.add_column(
        f"highest and lowest of {len(tokens)} tokens", no_wrap=True, overflow="ellipsis", ratio=1
    )
    for i in [*order[:k], *order[len(order) - lowest :]]:
        start, end = tokens.spans[i]
        line = Text(inline(tokens.text[max(0, start - AROUND) : start]), FAINT)
        line.append(f"[{label(tokens, i)}]", Style(bold=True, dim=False))
        line.append(inline(tokens.text[end : end + AROUND]))
        table.add_row(f"{z[i]:+.2f}", tokens.roles[i], line)
    return table


def legend(scale: float | int = SCALE, paper: Paper = DARK) -> Text:
    """What the colours mean, on one line of at most 80 columns."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for share in (-1, -0.5, 0, 0.5, 1):
        text.append(f" {share * scale:+.3g} " if share else " 0 ", shade(share * scale, scale, paper))
    return text.append(" z: deviations from neutral; blue below, red above", FAINT)


def strongest_table(reading: Reading, k: int = 5) -> Table:
    """The concepts of the highest mean z in each part, with the mean's 95 % interval and the peak."""
    table = _table()
    table.add_column("part", no_wrap=True)
    table.add_column("strongest", overflow="ellipsis", no_wrap=True)
    table.add_column("mean z", justify="right", no_wrap=True)
    table.add_column("95 %", justify="right", no_wrap=True, style=FAINT)
    table.add_column("peak", justify="right", no_wrap=True)
    table.add_column("at", overflow="ellipsis", no_wrap=True, ratio=1)
    for part in parts(reading):
        for row, (name, mean) in enumerate(part.mean.top(k)):
            column = reading.concepts.index(name)
            margin = "" if part.mean.margin is None else f"±{part.mean.margin[column]:.2f}"
            at = (part.peak.tokens or ())[column]
            table.add_row(
                Text(f"{part.role}, n = {part.mean.n}" if row == 0 else ""),
                Text(inline(name)),
                f"{mean:+.2f}",
                margin,
                f"{part.peak.z[column]:+.2f}",
                Text(f"[{label(part.reading, at)}]"),
                end_section=row == k - 1,
            )
    return table


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, expand=True, header_style=FAINT)


def _shown(piece: Piece) -> str:
    marked = visible(piece.text or "·").replace("\t", "⇥   ")
    return marked.replace("\n", "↵" if piece.scaffold else "↵\n")
