"""An explanation as one HTML page: the ranking against chance, and the text as the concepts fired in it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources

from affekt.explaining.explanation import FIRES, Effect, Explanation, Firing
from affekt.explaining.wording import PLACE_NAMES, method, nats, p_value, said, signed
from affekt.reading.colour import STEPS, step
from affekt.reading.page import page as reading_page
from affekt.reading.pieces import inline, label
from affekt.reading.reading import Reading

__all__ = ["page"]

COLOURED = 2
"""Concepts chosen in the text at first."""

HEADS = (
    "taken out at",
    "fall",
    "by chance",
    "beyond it",
    "95 %",
    "z",
    "corrected",
    "of variance",
    "random directions",
)


def page(explanation: Explanation, title: str = "Why this reply") -> str:
    """A page that needs nothing else; a click on a concept of the ranking colours the text by it.

    Args:
        explanation: what to show.
        title: the page's heading.
    """
    captions = ("The reply explained", "The reply it is set against") if explanation.is_pair else ()
    return reading_page(
        [reply.reading for reply in explanation.replies],
        title,
        names=explanation.concepts[:COLOURED],
        captions=captions,
        above=_why(explanation),
    )


def _why(explanation: Explanation) -> str:
    limit = max(1e-9, *(_reach(effect) for effect in explanation.effects))
    fired = [explanation.fired(i) for i in range(len(explanation.replies))]
    rows = "".join(_row(explanation, list(own), limit) for own in zip(*fired, strict=True))
    style = (resources.files("affekt.explaining") / "assets" / "why.css").read_text(encoding="utf-8")
    return f"""<section id="why" style="--places:{len(explanation.places)}" aria-label="Ranking of concepts">
<style>{style}</style>
<p class="said">{_text(said(explanation))}</p>
<ol><li class="row head"><span>taken out</span>{_heads(explanation, limit)}<span></span></li>
{rows}</ol>
<p class="how">The dot is the fall in nats; the grey bar is where 95 % of random directions that take the same
share of variance lie. A filled dot is beyond chance after correction for {len(explanation.effects)}
comparisons: red spoke for the reply, blue against it. {_text(method(explanation))}</p>
</section>
"""


def _heads(explanation: Explanation, limit: float) -> str:
    low, high = f"<b>−{limit:.3g}</b>", f"<b>+{limit:.3g}</b>"
    return "".join(
        f'<span class="chart">{low}{_text(PLACE_NAMES[place])}{high}</span>' for place in explanation.places
    )


def _row(explanation: Explanation, fired: Sequence[Firing], limit: float) -> str:
    effects = [explanation.of(fired[0].concept, place) for place in explanation.places]
    first, name = effects[0], _text(fired[0].concept)
    charts = "".join(f'<span class="chart">{_chart(effect, limit)}</span>' for effect in effects)
    small = f"<small>z {signed(first.chance.z)}, {p_value(first)}</small>"
    return (
        f'<li><details><summary class="row"><button type="button" data-concept="{name}">{name}</button>'
        f'{charts}<span class="number">{nats(first.nats)}{small}</span></summary>'
        f"{_more(explanation, effects, fired)}</details></li>\n"
    )


def _chart(effect: Effect, limit: float) -> str:
    chance = effect.chance
    margin = chance.high - chance.excess
    least, most = chance.expected - margin, chance.expected + margin
    kind = ("for" if chance.z > 0 else "against") if effect.stands_out else ""
    about = _text(
        f"{effect.concept}, {PLACE_NAMES[effect.place]}: {nats(effect.nats)}; random directions "
        f"{signed(least)} to {signed(most)}"
    )
    width = max(_x(most, limit) - _x(least, limit), 0.3)
    return (
        f'<svg role="img" aria-label="{about}"><title>{about}</title>'
        f'<rect class="chance" x="{_x(least, limit):.1f}%" width="{width:.1f}%" y="25%" height="50%" rx="2"/>'
        f'<line class="zero" x1="50%" x2="50%" y1="0" y2="100%"/>'
        f'<circle class="dot {kind}" cx="{_x(effect.nats, limit):.1f}%" cy="50%" r="4.5"/></svg>'
    )


def _more(explanation: Explanation, effects: Sequence[Effect], fired: Sequence[Firing]) -> str:
    heads = "".join(f"<th>{head}</th>" for head in HEADS)
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(effect))}</tr>" for effect in effects)
    falls = "".join(_falls(explanation, effects[0], i, own) for i, own in enumerate(fired))
    return f'<div class="more"><div class="scroll"><table><tr>{heads}</tr>{rows}</table></div>{falls}</div>'


def _cells(effect: Effect) -> tuple[str, ...]:
    chance = effect.chance
    return (
        _text(PLACE_NAMES[effect.place]),
        nats(effect.nats),
        signed(chance.expected),
        signed(chance.excess),
        f"{signed(chance.low)} to {signed(chance.high)}",
        signed(chance.z),
        p_value(effect),
        f"{effect.share:.2%}",
        str(effect.n),
    )


def _falls(explanation: Explanation, effect: Effect, i: int, fired: Firing) -> str:
    """Where the concept showed in one reply's text, and which of its tokens rest on it."""
    reply = explanation.replies[i]
    scale = max(1e-9, *(abs(fall) for falls in effect.falls for fall in falls))
    tokens = "".join(
        _token(label(reply.reading, reply.prompt_tokens + at), fall, scale)
        for at, fall in enumerate(effect.falls[i])
    )
    which = f" of reply {i + 1}" if explanation.is_pair else ""
    return (
        f"<p>{_text(_shown(reply.reading, fired))} Below, the fall of each token{which}: red where the "
        f'concept made it likelier, full colour at {scale:.2g} nats.</p><p class="falls">{tokens}</p>'
    )


def _token(text: str, fall: float, scale: float) -> str:
    colour = f"--h:var(--r{step(fall, scale) + STEPS})"
    return f'<span class="t" title="{nats(fall)}" style="{colour}">{_text(text)}</span>'


def _shown(reading: Reading, fired: Firing) -> str:
    peak = f"“{label(reading, fired.peak).strip()}” ({reading.roles[fired.peak]})"
    strongest = f"strongest at {peak}, z {signed(fired.z)}."
    if fired.first is None:
        return f"Never at z {FIRES:g} or more; {strongest}"
    first = f"“{label(reading, fired.first).strip()}” ({reading.roles[fired.first]}, token {fired.first + 1})"
    return f"First at z {FIRES:g} or more at {first}; {strongest}"


def _reach(effect: Effect) -> float:
    margin = effect.chance.high - effect.chance.excess
    return max(abs(effect.nats), abs(effect.chance.expected) + margin)


def _x(value: float, limit: float) -> float:
    """Percent of a chart's width."""
    return 50.0 + 48.0 * value / limit


def _text(text: str) -> str:
    return escape(inline(text))
