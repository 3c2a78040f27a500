"""The page and the terminal: what was found, chance beside it, nothing fetched, nothing injected."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

from rich.console import Console

from affekt.explaining import Explanation, explain
from affekt.explaining.page import page
from affekt.explaining.terminal import render
from affekt.explaining.wording import said
from tests.explaining.scripted import scripted, told


@cache
def explanation(pair: bool = False, cause: str | None = "angry") -> Explanation:
    engine = scripted(cause)
    against = told((21, 22, 23)) if pair else None
    return explain(engine, engine.vectors, told(), engine.with_vectors, against=against)


def shown(what: Explanation, width: int = 120) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"), color_system=None)
    console.print(render(what))
    return console.export_text()


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.open: list[str] = []
        self.concepts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        if tag not in ("meta", "input", "rect", "line", "circle"):
            self.open.append(tag)
        fields = dict(attrs)
        if tag == "button" and "data-concept" in fields and "summary" in self.open:
            self.concepts.append(str(fields["data-concept"]))
        assert not {"src", "href"} & set(fields)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_ranks_and_needs_nothing_else() -> None:
    what = explanation()
    html = page(what)
    elements = Elements()
    elements.feed(html)
    assert not elements.open and tuple(elements.concepts) == what.concepts
    assert elements.names.count("circle") == len(what.effects) == elements.names.count("rect")
    assert elements.names.count("script") == 2 and "http" not in html.split("<script", 1)[0].replace(
        "http-equiv", ""
    )
    assert len(re.findall(r'class="dot for"', html)) == sum(
        e.stands_out and e.chance.z > 0 for e in what.effects
    )
    first = what.ranking()[0]
    assert f"+{first.nats:.1f} nats" in html and "+14." in html
    assert html.count('class="falls"') == len(what.concepts)


def test_a_pair_stands_side_by_side() -> None:
    html = page(explanation(pair=True))
    assert html.count("<article") == 2 and "The reply it is set against" in html
    assert "log-odds" in html and "Fall" not in html and "of reply 2" in html


def test_a_text_cannot_break_out_of_the_page() -> None:
    what = explanation()
    reading = what.replies[0].reading
    evil = "<script>alert(1)</script>"
    text = reading.text[:-3] + evil
    spans = (*reading.spans[:-1], (reading.spans[-1][0], len(text)))
    reading = replace(reading, text=text, spans=spans, tokens=(*reading.tokens[:-1], evil))
    html = page(replace(what, replies=(replace(what.replies[0], reading=reading),)))
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html


def test_the_terminal_shows_the_ranking_with_its_interval() -> None:
    what = explanation()
    text = shown(what)
    lines = [line for line in text.splitlines() if any(line.startswith(f"{name} ") for name in what.concepts)]
    assert [line.split()[0] for line in lines] == list(what.concepts)
    first = what.ranking()[0]
    assert f"+{first.chance.excess:.1f} [+{first.chance.low:.1f}, +{first.chance.high:.1f}]" in lines[0]
    assert f"{first.n} at each place" in " ".join(text.split())
    assert max(map(len, shown(what, 80).splitlines())) <= 80


def test_in_words() -> None:
    assert "Beyond chance, it rests on angry (+14" in said(explanation())
    assert "None of the 5 concepts tested does more than random" in said(explanation(cause=None))
    assert "The log-odds of the first reply (4 tokens) against the other (3)" in said(explanation(pair=True))
