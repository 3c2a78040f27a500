from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings

from affekt.errors import ReadingError, UnknownConcept
from affekt.reading.colour import DARK, LIGHT, STEPS, hexadecimal, ramp, step
from affekt.reading.page import page
from affekt.reading.smoothing import window
from tests.reading.readings import CHAT, CONCEPTS, chat, made, parts

VOID = {"meta", "input", "link", "br", "img"}


class Seen(HTMLParser):
    """Elements, attributes and texts of a page, and whether its tags match."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.tokens: dict[int, str] = {}
        self.scripts: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")
        if tag == "span" and "data-i" in dict(attrs):
            self.tokens[int(dict(attrs)["data-i"])] = ""
            self.token = len(self.open)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.tokens and len(self.open) == self.token and self.open[-1] == "span":
            self.tokens[max(self.tokens)] += data

    def ids(self) -> set[str | None]:
        return {attributes.get("id") for _, attributes in self.tags}


def test_every_token_is_there_in_order_with_its_number():
    seen = Seen(page(chat()))
    assert not seen.open, "all elements are closed"
    assert [seen.tokens[i].strip() for i in range(len(CHAT))] == [token.strip() for token, _ in CHAT]


@settings(max_examples=40)
@given(parts())
def test_any_reading_makes_a_page_that_holds_together(of):
    reading = made(*of)
    seen = Seen(page(reading))
    assert not seen.open
    assert set(seen.tokens) == set(range(len(reading)))
    assert len(seen.scripts) == 2
    assert len(json.loads(seen.scripts[0])["readings"][0]["tokens"]) == len(reading)


def test_without_a_script_the_tokens_have_the_colour_of_the_first_concept():
    z = np.zeros((len(CHAT), 3))
    z[5, 1] = -3.0
    source = page(made(CHAT, z), names=["desperate", "calm"])
    assert f'data-i="5" style="--h:var(--r{step(-3.0) + STEPS})">lost<' in source
    assert f'data-i="4" style="--h:var(--r{STEPS})">am<' in source
    assert json.loads(Seen(source).scripts[0])["chosen"] == ["desperate", "calm"]


@pytest.mark.parametrize("paper", [LIGHT, DARK], ids=["light", "dark"])
def test_the_ramp_of_both_themes_is_the_colour_rule(paper):
    light, dark = page(chat()).split("prefers-color-scheme:dark", 1)
    source = light if paper is LIGHT else dark.split("</style>")[0]
    for i, colour in enumerate(ramp(paper)):
        assert f"--r{i}:{hexadecimal(colour)};" in source


def test_the_page_fetches_nothing_and_runs_no_script_but_its_own():
    source = page([chat(), chat()])
    seen = Seen(source)
    for tag, attributes in seen.tags:
        assert not {"src", "href", "srcset", "action"} & set(attributes), tag
        assert not any(name.startswith("on") for name in attributes), tag
    assert "@import" not in source and "url(" not in source
    policy = next(a["content"] for t, a in seen.tags if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(seen.scripts[1].encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202e"


def test_hostile_text_stays_text_wherever_it_stands():
    reading = replace(
        made([(HOSTILE, "user"), (" fine", "user")], concepts=(HOSTILE, "calm", "]]>")),
        model=HOSTILE,
        smoothing=HOSTILE,
    )
    source = page(reading, title=HOSTILE, captions=[HOSTILE], names=[HOSTILE])
    seen = Seen(source)
    assert len(seen.scripts) == 2 and not seen.open
    assert "img" not in [tag for tag, _ in seen.tags]
    assert "\u202e" not in source
    data = json.loads(seen.scripts[0])
    assert data["readings"][0]["tokens"][0] == HOSTILE.replace("\u202e", "⟨U+202E⟩")
    assert html.escape(data["readings"][0]["tokens"][0]) in source


def test_the_script_finds_every_element_it_looks_for():
    seen = Seen(page([chat(), chat()], captions=["one", "two"]))
    script = seen.scripts[1]
    wanted = set(re.findall(r'find\("#([a-z]+)"', script)) | set(
        re.findall(r'getElementById\("(\w+)"', script)
    )
    assert wanted and wanted <= seen.ids()
    classes = {name for _, a in seen.tags for name in (a.get("class") or "").split()}
    assert {"t", "heat", "trace", "end"} <= classes
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


def test_numbers_can_be_read_without_colour_or_script():
    z = np.zeros((len(CHAT) + 6, 3))
    z[:, 2] = 1.5
    source = page(made([*CHAT, *[(" on", "assistant")] * 6], z))
    assert "assistant <small>mean z, n = 10</small>" in source
    assert (
        'data-concept="grief-stricken"><span>grief-stricken</span><b>+1.50</b><small>±0.00</small>' in source
    )
    assert '<span class="end">−4</span>' in source


def test_several_readings_have_captions_and_may_stand_side_by_side():
    source = page([chat(), window(chat(), 2)], captions=["As it was", "Smoothed"])
    assert source.count("<article") == 2 and 'id="beside"' in source
    assert "<h2>As it was</h2>" in source and "smoothed: mean of the last 2 tokens" in source
    assert 'id="beside"' not in page(chat())


def test_what_cannot_be_shown_is_an_error():
    with pytest.raises(ReadingError, match="no reading"):
        page([])
    with pytest.raises(ReadingError, match="1 readings, but 2 captions"):
        page(chat(), captions=["a", "b"])
    with pytest.raises(UnknownConcept, match="'clam'; did you mean 'calm'"):
        page(chat(), names=["clam"])


def test_a_concept_that_only_one_reading_holds_can_be_chosen():
    source = page([chat(), chat().select(["calm"])], names=["desperate"])
    assert source.count('data-i="5"') == 2
    assert source.count("--h:") >= len(CHAT)
    assert all(f'<option value="{name}">' in source for name in CONCEPTS)


def test_the_scale_is_what_was_asked_for():
    source = page(chat(), scale=2.5)
    assert json.loads(Seen(source).scripts[0])["scale"] == 2.5
    assert '<option value="2.5">±2.5</option>' in source
