"""Readings as one HTML page that needs nothing else: no network, no library."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib import resources
from itertools import groupby

import numpy as np
from jaxtyping import Float

from affekt.errors import ReadingError, UnknownConcept
from affekt.reading.colour import DARK, LIGHT, SCALE, STEPS, Paper, hexadecimal, ramp, step
from affekt.reading.parts import Part, parts
from affekt.reading.payload import embedded, payload, percentile
from affekt.reading.pieces import Piece, about, inline, turns, visible
from affekt.reading.reading import Reading

__all__ = ["page"]

STRONGEST = 6
"""Concepts listed for each part."""
FIRST = 2
"""Concepts in the trace when none are asked for."""


def page(
    readings: Reading | Sequence[Reading],
    title: str = "Affekt reading",
    *,
    names: Sequence[str] = (),
    captions: Sequence[str] = (),
    scale: float | int = SCALE,
    above: str = "",
) -> str:
    """A page with the text in colour, a concept picker, a trace over the tokens and the strongest concepts.

    Args:
        readings: one, or several to stand side by side.
        title: the page's heading.
        names: the concepts in the trace at first; the first one is the text's colour. None given: the two
            of the highest mean in the first reading.
        captions: a heading for each reading.
        scale: the |z| of full colour at first.
        above: HTML to stand above the readings, with its own style and no script; a button in it with
            `data-concept` chooses that concept.

    Raises:
        ReadingError: for no reading, or captions that do not match.
        UnknownConcept: for a name that no reading holds.
    """
    shown = [readings] if isinstance(readings, Reading) else list(readings)
    if not shown:
        raise ReadingError("no reading to make a page of")
    if captions and len(captions) != len(shown):
        raise ReadingError(f"{len(shown)} readings, but {len(captions)} captions")
    known = list(dict.fromkeys(inline(name) for reading in shown for name in reading.concepts))
    names = [inline(name) for name in names]
    for name in names:
        if name not in known:
            raise UnknownConcept(name, known)
    if not names and len(shown[0]):
        names = [inline(name) for name, _ in shown[0].top(FIRST)]
    data = {
        "scale": float(scale),
        "steps": STEPS,
        "chosen": names,
        "readings": [payload(reading) for reading in shown],
    }
    style, script = _asset("page.css"), _asset("page.js")
    first = names[0] if names else None
    articles = "".join(
        _article(i, reading, captions[i] if captions else "", first, scale) for i, reading in enumerate(shown)
    )
    many = f' class="many" style="--columns:{min(len(shown), 3)}"' if len(shown) > 1 else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">
<title>{_text(title)}</title>
<style>
:root{{{_colours(LIGHT)}}}
@media (prefers-color-scheme:dark){{:root{{{_colours(DARK)}}}}}
{style}</style>
</head>
<body>
<header>
<h1>{_text(title)}</h1>
{_bar(known, scale, percentile(shown), len(shown))}
</header>
{above}<main>
<div id="readings"{many}>{articles}</div>
<aside id="inspector" aria-live="polite" aria-label="The token in focus"></aside>
</main>
<footer>
<p><b>z</b> says how far a token's reading lies above (+, red) or below (−, blue) the neutral reference, in
that reference's standard deviations. Means are over the n tokens of a part, with their 95 % interval; special
tokens, chat scaffolding and the very first token are left out. An axis is the mean of z weighted by human
norms, with its 95 % interval over the words that have them.</p>
<p>A reading is of a direction in the model's residual stream. It is not a feeling.</p>
</footer>
<script type="application/json" id="data">{embedded(data)}</script>
<script>{script}</script>
</body>
</html>
"""


def _bar(known: Sequence[str], scale: float | int, top: float, count: int) -> str:
    options = "".join(f'<option value="{_text(name)}"></option>' for name in sorted(known))
    scales = f'<option value="{scale:g}">±{scale:g}</option>'
    if top > 0:
        scales += f'<option value="{top:.2f}">±{top:.1f}, 99th percentile here</option>'
    beside = (
        '<button id="beside" type="button" aria-pressed="true">Side by side</button>' if count > 1 else ""
    )
    return f"""<div id="bar">
<div id="pick"><input id="concept" list="concepts" placeholder="Find a concept" aria-label="Find a concept"
 autocomplete="off" spellcheck="false"><datalist id="concepts">{options}</datalist>
<div id="chosen" role="group" aria-label="Concepts shown"></div></div>
<div id="legend"><span class="end">−{scale:g}</span><span class="ramp" aria-hidden="true"></span>
<span class="end">+{scale:g}</span>
<label>Full colour at <select id="scale">{scales}</select></label>{beside if count > 1 else ""}</div>
</div>"""


def _article(index: int, reading: Reading, caption: str, concept: str | None, scale: float | int) -> str:
    z = None
    for column, name in enumerate(reading.concepts):
        if inline(name) == concept:
            z = reading.z[:, column]
    said = "".join(
        f'<section class="turn"><h3>{_text(_speaker(turn.role))}</h3>'
        f"<p>{_said(turn.pieces, z, scale)}</p></section>"
        for turn in turns(reading)
    )
    heading = f"<h2>{_text(caption)}</h2>" if caption else ""
    lists = "".join(_part(part) for part in parts(reading)) if reading.concepts else ""
    return (
        f'<article data-reading="{index}">{heading}'
        f'<p class="about">{escape(about(reading))}</p>'
        f'<div class="heat" role="group" aria-label="Tokens; arrow keys go from one to the next">{said}</div>'
        f'<div class="trace"></div><div class="parts">{lists}</div></article>\n'
    )


def _said(shown: Sequence[Piece], z: Float[np.ndarray, " tokens"] | None, scale: float | int) -> str:
    """The pieces of a turn; scaffolding stands on lines of its own."""
    runs = []
    for scaffold, run in groupby(shown, key=lambda piece: piece.scaffold):
        spans = "".join(_piece(piece, z, scale) for piece in run)
        runs.append(f'<span class="scaffold">{spans}</span>' if scaffold else spans)
    return "".join(runs)


def _piece(piece: Piece, z: Float[np.ndarray, " tokens"] | None, scale: float | int) -> str:
    text = escape(visible(piece.text)).replace("\t", "<i>⇥</i>\t")
    text = text.replace("\n", "<i>↵</i>" if piece.scaffold else "<i>↵</i>\n")
    if piece.token is None:
        return text
    # Spaces before a word stay outside, where a line that breaks there shows no coloured end.
    word = text.lstrip(" ") or text
    kind = "t s" if piece.scaffold else "t"
    colour = "" if z is None else f' style="--h:var(--r{step(float(z[piece.token]), scale) + STEPS})"'
    span = f'<span class="{kind}" tabindex="-1" data-i="{piece.token}"{colour}>{word or "<i>·</i>"}</span>'
    return " " * (len(text) - len(word)) + span


def _part(part: Part) -> str:
    rows = []
    for name, mean in part.mean.top(STRONGEST):
        column = part.reading.concepts.index(name)
        margin = "" if part.mean.margin is None else f"<small>±{part.mean.margin[column]:.2f}</small>"
        shown = _text(name)
        rows.append(
            f'<li><button type="button" data-concept="{shown}"><span>{shown}</span>'
            f"<b>{_signed(mean)}</b>{margin}</button></li>"
        )
    return (
        f"<section><h3>{_text(part.role)} <small>mean z, n = {part.mean.n}</small></h3>"
        f"<ol>{''.join(rows)}</ol></section>"
    )


def _speaker(role: str) -> str:
    return {"generation": "prompt end", "text": ""}.get(role, role)


def _signed(z: float) -> str:
    return f"{z:+.2f}".replace("-", "−")


def _text(text: str) -> str:
    return escape(inline(text))


def _colours(paper: Paper) -> str:
    steps = "".join(f"--r{i}:{hexadecimal(colour)};" for i, colour in enumerate(ramp(paper)))
    return f"--ground:{hexadecimal(paper.ground)};--ink:{hexadecimal(paper.ink)};{steps}"


def _policy(script: str) -> str:
    """Nothing is fetched, and no script runs but the page's own."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"


def _asset(name: str) -> str:
    return (resources.files("affekt.reading") / "assets" / name).read_text(encoding="utf-8")
