from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from affekt.errors import UnknownConcept
from affekt.reading.colour import DARK, LIGHT, diverging
from affekt.reading.smoothing import window
from affekt.reading.terminal import extremes, heat, legend, render, shade, strongest_table
from tests.reading.readings import CHAT, chat, made


def printed(renderable: RenderableType, width: int = 80, **console: object) -> str:
    out = io.StringIO()
    Console(file=out, width=width, **console).print(renderable)
    return out.getvalue()


def on_a_terminal(renderable: RenderableType, **console: object) -> str:
    return printed(renderable, force_terminal=True, color_system="truecolor", **console)


def sorrow():
    """A chat where ` lost` is high in the second concept and ` slowly` low."""
    z = np.zeros((len(CHAT), 3))
    z[5, 1], z[12, 1] = 3.4, -3.4
    return made(CHAT, z)


def test_in_a_pipe_there_are_no_escape_codes_and_every_token_is_there():
    out = printed(render(sorrow(), ["desperate", "calm"]))
    assert "\x1b" not in out
    for token, _ in CHAT:
        assert token.replace("\n", "↵").strip() in out
    assert out.count("I am lost.") >= 2, "one block for each concept"


def test_no_color_leaves_no_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    out = on_a_terminal(render(sorrow(), ["desperate"]))
    assert "48;2" not in out and "38;2" not in out
    assert re.search(r"\x1b\[1m lost", out), "a high token is bold"
    assert re.search(r"\x1b\[4m slowly", out), "a low one is underlined"


@pytest.mark.parametrize("paper", [DARK, LIGHT], ids=["dark", "light"])
def test_tokens_stand_on_the_colours_of_the_rule(paper):
    out = on_a_terminal(heat(sorrow(), "desperate", paper=paper))
    for z, token in ((3.4, " lost"), (-3.4, " slowly")):
        ground = ";".join(map(str, diverging(z, paper=paper)))
        assert re.search(rf"\x1b\[[^m]*48;2;{ground}m{token}", out)
    assert "\x1b[0mBreathe,\x1b" in out, "a neutral token has no colour"


def test_full_colour_is_reached_at_the_scale():
    full = shade(2, scale=2).bgcolor
    assert full is not None and tuple(full.triplet) == DARK.red
    assert shade(0.01).bgcolor is None


def test_scaffolding_is_dim():
    out = on_a_terminal(heat(sorrow(), "calm"))
    assert re.search(r"\x1b\[2m<\|user\|>", out)
    assert not re.search(r"\x1b\[2m lost", out)


def test_numbers_say_what_the_colours_say():
    out = printed(extremes(sorrow(), "desperate", k=1))
    high, low = out.splitlines()[2:4]
    assert re.match(r" *\+3\.40 +user +.*am\[ lost\]\.", high)
    assert re.match(r" *-3\.40 +assistant +.*,\[ slowly\]\.", low)
    assert "lowest of 8 tokens" in out


def test_the_strongest_concepts_of_each_part_come_with_n_and_margin():
    z = np.zeros((len(CHAT) + 6, 3))
    z[:, 1] = np.arange(len(z)) % 2
    long = made([*CHAT, *[(" on", "assistant")] * 6], z)
    out = printed(strongest_table(long, k=1))
    assert re.search(r"user, n = 4 +desperate +\+0\.50 +\+1\.00", out), "too few tokens for a margin"
    assert re.search(r"assistant, n = 10 +desperate +\+0\.50 +±0\.\d\d +\+1\.00", out)
    assert "prompt end, n = 1" in out


@pytest.mark.parametrize("width", [40, 80])
def test_lines_fit_the_terminal_with_wide_characters_too(width):
    words = [
        ("悲しい気持ち", "user"),
        ("👩‍💻" * 30, "user"),
        ("x" * 200, "user"),
        ("\n", "user"),
        ("Straße", "user"),
    ]
    out = printed(render(made(words), ["calm"]), width=width)
    assert max(cell_len(line) for line in out.splitlines()) <= width
    assert "悲しい" in out and "↵" in out


def test_text_cannot_take_over_the_terminal():
    hostile = made([("\x1b[2J\x07", "user"), (" [bold red]x[/]", "user"), ("\u202e", "user")])
    out = printed(render(hostile, ["calm"]))
    assert not re.search("[\x1b\x07\u202e]", out)
    assert "␛[2J␇" in out and "[bold red]x[/]" in out and "⟨U+202E⟩" in out


def test_without_names_the_concept_of_the_highest_mean_is_shown():
    assert "\ngrief-stricken\n" in printed(render(chat()))
    with pytest.raises(UnknownConcept, match="did you mean 'calm'"):
        render(chat(), ["clam"])


def test_a_smoothed_reading_says_so_above_its_numbers():
    out = " ".join(printed(render(window(chat(), 3))).split())
    assert out.startswith(
        "tiny-model · layer 20 · 14 tokens · 3 concepts · smoothed: mean of the last 3 tokens"
    )
    assert "smoothed" not in printed(render(chat()))


def test_the_legend_carries_its_numbers_on_one_line():
    out = printed(legend(2.5))
    assert len(out.splitlines()) == 1
    assert out.split()[:5] == ["-2.5", "-1.25", "0", "+1.25", "+2.5"]


def test_an_empty_reading_prints_its_text():
    assert "I am lost." in printed(render(chat().where("tool")))
    assert "I am lost." in printed(render(replace(chat().select([]))))
