"""An audit as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from affekt.audit import charts
from affekt.audit.comparison import ALL, Comparison, Shift
from affekt.audit.examples import Example
from affekt.audit.measure import VIEWS
from affekt.audit.wording import (
    LIMITS,
    beside,
    made_of,
    meaning,
    opponent,
    ranked,
    sentences,
    standing,
    titles,
)
from affekt.reading.fragment import fragment
from affekt.reading.sheet import drawn, sheet, table

__all__ = ["page"]

LISTED = 20
"""Called shifts in the table of a view."""


def page(comparisons: Sequence[Comparison], examples: Sequence[Sequence[Example]]) -> str:
    """What happened in plain words, the ranking, base against tuned, groups, clusters and layers, examples.

    Args:
        comparisons: one for each tuned model.
        examples: for each comparison, texts that both models have read.
    """
    base, *names = titles([comparisons[0].base, *(one.tuned for one in comparisons)])
    parts = [_part(title, one, shown) for title, one, shown in zip(names, comparisons, examples, strict=True)]
    return sheet(
        f"What changed from {opponent(comparisons[0], base)} to {', '.join(names)}",
        "".join(parts) + f"<footer><p>{escape(LIMITS)}</p></footer>",
    )


def _part(title: str, one: Comparison, examples: Sequence[Example]) -> str:
    groups = [group for group in one.groups if group != ALL]
    pair = [group for group in ("neutral", "challenging") if group in groups] or groups[:2]
    pieces = [
        f"<h2>{escape(title)}</h2>",
        *([f'<p class="small">{escape(one.tuned)}</p>'] if title != one.tuned else []),
        *(f'<p class="lead">{escape(sentence)}</p>' for sentence in sentences(one)),
        f"<p><b>{escape(standing(one))}</b></p>",
        *(f"<p>{escape(text)}</p>" for text in (*meaning(one), *one.notes)),
    ]
    for view in filter(one.measured, one.views):
        pieces += [f"<h3>{escape(VIEWS[view][0].upper() + VIEWS[view][1:])}</h3>", *_view(one, view)]
    if len(pair) == 2:
        caption = (
            "Each point is an emotion. On a line: training changed a baseline. Scattered: what changed "
            "depends on "
            "the prompt. (Paper, figure 36: r = 0.90.)"
        )
        pieces.append(drawn(charts.agreement(one, *pair), caption))
    pieces.append(
        drawn(
            charts.layers(one),
            "Root mean square over the emotions of the shift over all prompts, in z of that layer. Only the "
            "layers "
            "that the vectors hold.",
        )
    )
    if one.directions is not None:
        caption = (
            "Each point is a concept, its vectors made of the same texts in both models; in the grey band "
            "lie 95 % of the pairs of different concepts. At 1 only activations have moved."
        )
        pieces.append(drawn(charts.turns(one.directions), caption))
    pieces += ["<h3>What carries it</h3>", _carriers(one), *_examples(examples, beside(one))]
    return "".join(pieces)


def _view(one: Comparison, view: str) -> list[str]:
    arms = made_of(one, view)
    floor = f"the grey bar is the noise floor ({arms})" if arms else "no noise floor was measured"
    above = "above the floor beyond chance" if arms else "beyond chance"
    pieces = [
        drawn(
            charts.ranking(one, view),
            f"Mean shift with its 95 % interval over prompts; {floor}. Red and blue: {above}, false "
            "discovery rate 5 % over the emotions. It does not say why.",
        ),
        drawn(
            charts.scatter(one, view),
            "Each point is an emotion; on the dotted line nothing changed. A mean z is relative to neutral "
            "texts of "
            "the vectors' own model.",
        ),
    ]
    wide = [shift for kind in ("cluster", "axis") for shift in one.shifts(view, ALL, kind)]
    if wide:
        pieces.append("<p>Clusters and axes, those that are called first:</p>")
        pieces.append(_table(one, sorted(wide, key=lambda shift: not shift.called), "cluster or axis"))
    heat = charts.clusters(one, view)
    if heat is not None:
        pieces.append(drawn(heat, "Mean shift of a cluster's emotions, in z of each layer."))
    if called := ranked(one, view)[:LISTED]:
        pieces.append(_table(one, called, "emotion"))
    return pieces


def _table(one: Comparison, shown: Sequence[Shift], what: str) -> str:
    """Shifts in figures; an arrow marks those that are called."""
    heads = [what, f"{one.against} z", "tuned z", "shift", "95 %", "noise floors", "q"]
    rows = [
        [
            *(f"{_arrow(s)}{s.name}", f"{s.base:+.2f}", f"{s.tuned:+.2f}", f"{s.shift:+.2f}"),
            *(f"{s.low:+.2f} to {s.high:+.2f}", f"{s.units:+.1f}" if s.floor else "–", f"{s.q:.2g}"),
        ]
        for s in shown
    ]
    if one.directions is not None and what == "emotion":
        heads.append("cosine of its directions")
        for row, s in zip(rows, shown, strict=True):
            own = one.directions.cosine.get(s.name)
            row.append("–" if own is None else f"{own:.2f}")
    return table(heads, rows)


def _arrow(shift: Shift) -> str:
    return "" if not shift.called else "▲ " if shift.shift > 0 else "▼ "


def _carriers(one: Comparison) -> str:
    rows = [
        (carrier.name, carrier.view, carrier.text, f"{carrier.difference:+.2f}", f"{carrier.share:.0%}")
        for carrier in one.carriers
    ]
    prompts = table(("emotion", "place", "prompt", "its shift", "of the whole"), rows, words=3)
    if not one.tokens:
        return prompts
    tokens = [
        (token.name, f"… {token.before.strip()}", token.token, f"{token.base:+.2f}", f"{token.tuned:+.2f}")
        for token in one.tokens
    ]
    other = beside(one)
    return (
        f"{prompts}<p>And the tokens, in the replies of the tuned model that are shown below, read by both "
        f"models:</p>{table(('emotion', 'after', 'token', f'{other} z', 'tuned z'), tokens, words=3)}"
    )


def _examples(examples: Sequence[Example], other: str) -> list[str]:
    if not examples:
        return []
    pieces = ["<h2>Both models on the same text</h2>"]
    for example in examples:
        pair, shown = example.pair, example.tuned.concepts[0]
        pieces.append(f"<blockquote>{escape(pair.text)}</blockquote>")
        pieces.append(
            f'<div class="pair"><div><b>{escape(other)} answers</b><p>{escape(pair.base)}</p></div>'
            f"<div><b>tuned answers</b><p>{escape(pair.tuned)}</p></div></div>"
        )
        pieces.append(
            f'<div class="pair"><div><b>{escape(other)} reads</b>{fragment(example.base, shown)}</div>'
            f"<div><b>tuned reads</b>{fragment(example.tuned, shown)}</div></div>"
        )
    return pieces
