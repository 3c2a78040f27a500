from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from affekt.errors import UnknownConcept
from affekt.reading.colour import diverging, hexadecimal
from affekt.reading.fragment import MOST, fragment
from tests.reading.readings import CHAT, chat, made


def test_a_reading_shows_itself_in_a_notebook():
    html = chat()._repr_html_()
    for word in ("Breathe", "lost", "tiny-model layer 20", "highest mean z over 8 tokens"):
        assert word in html
    assert "<script" not in html and "http" not in html


def test_tokens_have_the_colour_of_their_z():
    z = np.zeros((len(CHAT), 3))
    z[5] = [3, 1, 0]
    html = fragment(made(CHAT, z), "calm")
    cell = re.search(r'<span title="([^"]*)" style="background:(#\w+);[^"]*"> lost</span>', html)
    assert cell.group(1) == "user · +3.00 · calm +3.00, desperate +1.00, grief-stricken +0.00"
    assert cell.group(2) == hexadecimal(diverging(3))


def test_a_misspelt_concept_is_an_error():
    with pytest.raises(UnknownConcept, match="did you mean 'calm'"):
        fragment(chat(), "clam")


def test_hostile_text_stays_text():
    reading = made([("<img src=x onerror=alert(1)>", "user"), ('"><q>', "user"), ("\u202e", "user")])
    html = fragment(replace(reading, model="<i>", smoothing="<u>"))
    for tag in ("<img", '"><q>', "<i>", "<u>", "\u202e"):
        assert tag not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html


def test_a_long_text_is_cut_and_says_so():
    html = fragment(made([("word ", "text")] * (MOST + 1234)))
    assert html.count("word") == MOST and "1,234 more pieces" in html


def test_an_empty_reading_has_something_to_show():
    assert "A reading of 0 tokens and 3 concepts." in chat().where("tool")._repr_html_()
