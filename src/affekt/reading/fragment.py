"""A reading as a small piece of HTML for a notebook: no script, one concept in colour, values on hover."""

from __future__ import annotations

from html import escape

import numpy as np
from jaxtyping import Float

from affekt.reading.colour import LIGHT, SCALE, diverging, hexadecimal
from affekt.reading.pieces import Piece, pieces, visible
from affekt.reading.reading import Reading

__all__ = ["MOST", "fragment"]

MOST = 400
"""Pieces shown; a notebook is no place for a book."""

BOX = (
    f"color:{hexadecimal(LIGHT.ink)};background:{hexadecimal(LIGHT.ground)};border:1px solid #dcdad4;"
    "border-radius:8px;padding:12px 16px;max-width:46rem;font:15px/1.8 Georgia,'Times New Roman',serif"
)
SMALL = "font:12px/1.6 system-ui,sans-serif;color:#5c5b58"


def fragment(reading: Reading, name: str | None = None) -> str:
    """The reading's tokens in the colours of one concept: the named one, or the one of the highest mean.

    Raises:
        UnknownConcept: for a name that the reading does not hold.
    """
    if not len(reading) or not reading.concepts:
        about = f"A reading of {len(reading)} tokens and {len(reading.concepts)} concepts."
        return f'<div style="{BOX}"><div style="{SMALL}">{about}</div>{escape(visible(reading.text))}</div>'
    name = reading.top(1)[0][0] if name is None else name
    z = reading.of(name)
    shown = pieces(reading)
    body = "".join(_piece(piece, reading, z) for piece in shown[:MOST])
    if len(shown) > MOST:
        body += f' <span style="{SMALL}">… {len(shown) - MOST:,} more pieces</span>'
    n = len(reading.content()) or len(reading)
    means = " · ".join(f"{escape(visible(concept))} {mean:+.2f}" for concept, mean in reading.top(5))
    smoothed = f" · smoothed: {escape(reading.smoothing)}" if reading.smoothing else ""
    return (
        f'<div style="{BOX}">'
        f'<div style="{SMALL}"><b>{escape(visible(name))}</b>, z from {_swatch(-SCALE)} to {_swatch(SCALE)}'
        f" · {escape(reading.model)} layer {reading.layer}{smoothed}</div>"
        f'<div style="white-space:pre-wrap;margin:8px 0">{body}</div>'
        f'<div style="{SMALL}">highest mean z over {n} tokens: {means}</div></div>'
    )


def _piece(piece: Piece, reading: Reading, z: Float[np.ndarray, " tokens"]) -> str:
    text = escape(visible(piece.text or "·")).replace("\n", "↵\n").replace("\t", "⇥\t")
    if piece.token is None:
        return text
    value = float(z[piece.token])
    best = ", ".join(f"{concept} {high:+.2f}" for concept, high in reading.top(3, token=piece.token))
    title = escape(f"{piece.role} · {value:+.2f} · {visible(best)}")
    faint = ";opacity:.5" if piece.scaffold else ""
    style = f"background:{hexadecimal(diverging(value))};border-radius:3px{faint}"
    return f'<span title="{title}" style="{style}">{text}</span>'


def _swatch(z: float) -> str:
    colour = hexadecimal(diverging(z))
    return f'<span style="background:{colour};border-radius:3px;padding:0 4px">{z:+g}</span>'
