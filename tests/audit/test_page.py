"""The report: what it shows, and that it needs nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO

import numpy as np
from rich.console import Console

from affekt.audit import compare
from affekt.audit.examples import examples, with_tokens
from affekt.audit.measure import Writing, reply_tokens
from affekt.audit.page import page
from affekt.audit.terminal import render
from affekt.audit.wording import headline
from tests.audit.planted import PROMPTS, along, world


def test_the_page_of_a_comparison() -> None:
    here = world({"sadder <b>": along("sad", 6.0)}, noise=0.02)
    [one] = compare(
        here.open, "base", ["sadder <b>"], here.vectors, PROMPTS, writing=Writing(tokens=4), directions=True
    )
    shown = examples(here.open, one)
    assert 1 <= len(shown) <= 3 and len(shown[0].base) == len(shown[0].tuned) > 4
    one = with_tokens(one, shown)
    html = page([one], [shown])
    assert "Did the directions turn?" in html
    assert "cosine of its directions" in html or not any(s.called for s in one.shifts("reply"))
    body = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert "sadder &lt;b&gt;" in body and "sadder <b>" not in body
    assert not re.findall(r'(?:src|href)="(?!data:)', body)
    assert html.count("<figure>") == 3 * len(one.views) + 3
    assert "no claim that a model feels" in body and "median cosine" in body
    assert all(carrier.text in body for carrier in one.carriers)
    stored = page([replace(one, tuned="/runs/a/step-10"), replace(one, tuned="./step-20")], [[], []])
    assert "<h1>What changed from base to step-10, step-20</h1>" in stored and "/runs/a/step-10" in stored
    alike = page([replace(one, tuned="/runs/a/last"), replace(one, tuned="/runs/b/last")], [[], []])
    assert "<h2>/runs/a/last</h2>" in alike and "<h2>/runs/b/last</h2>" in alike
    console = Console(file=StringIO(), width=80)
    render(one, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "sad at the prompt's end, chat template is carried most by" in " ".join(printed.split())
    assert "▲ sad" in printed and max(map(len, printed.splitlines())) <= 80


def test_the_tokens_that_carry_a_shift() -> None:
    here = world({"sadder": along("sad", 6.0)}, noise=0.02)
    [one] = compare(
        here.open, "base", ["sadder"], here.vectors, PROMPTS, writing=Writing(tokens=6), floor=False
    )
    shown = examples(here.open, one)
    assert with_tokens(one, []) is one
    name = shown[0].tuned.concepts[0]
    way = float(np.sign(one.at("reply", "all", name).shift))
    reply = reply_tokens(shown[1].tuned)
    heavy, light = reply[2], reply[0]
    z = shown[1].base.z.copy()
    z[heavy, 0] += 3 * way
    z[light, 0] += way
    z[0, 0] += 50 * way
    planted = [shown[0], replace(shown[1], tuned=replace(shown[1].tuned, z=z)), *shown[2:]]
    first, second = with_tokens(one, planted).tokens[:2]
    assert (first.name, first.prompt, second.prompt) == (name, shown[1].pair.prompt, shown[1].pair.prompt)
    assert (first.token, second.token) == (shown[1].tuned.tokens[heavy], shown[1].tuned.tokens[light])
    assert np.isclose(first.tuned - first.base, 3 * way) and np.isclose(first.share, 0.75)
    assert second.before == "" and shown[1].pair.tuned.strip().startswith(first.before.strip())
    assert with_tokens(one, planted).to_dict()["tokens"][0]["share"] == first.share


def test_a_model_that_did_not_move() -> None:
    here = world({"copy": along("sad", 0.0)})
    [one] = compare(here.open, "base", ["copy"], here.vectors, PROMPTS, views=["plain end"])
    assert headline(one).endswith("no emotion moved beyond the noise floor.")
    assert examples(here.open, one) == []
    assert "no emotion moved" in page([one], [[]])
    bare = replace(one, arms=dict.fromkeys(one.views, ()))
    assert headline(bare).endswith("no emotion moved beyond chance (no floor was measured).")


def test_examples_are_read_in_the_form_in_which_they_were_written() -> None:
    here = world({"sadder": along("sad", 6.0)}, noise=0.02)
    asked = (here.open, "base", ["sadder"], here.vectors, PROMPTS[:4])
    [one] = compare(*asked, writing=Writing(tokens=4), views=["reply"], floor=False)
    assert "assistant" in examples(here.open, one)[0].tuned.roles
    here.template = {"base": None}
    [bare] = compare(*asked, writing=Writing(tokens=4), views=["reply"], floor=False)
    roles = examples(here.open, bare)[0].tuned.roles
    assert "text" in roles and "assistant" not in roles
