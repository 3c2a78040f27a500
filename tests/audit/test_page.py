"""The report: what it shows, and that it needs nothing else."""

from __future__ import annotations

import re
from io import StringIO

from rich.console import Console

from affekt.audit import compare
from affekt.audit.examples import examples
from affekt.audit.measure import Writing
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
    html = page([one], [shown])
    body = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert "sadder &lt;b&gt;" in body and "sadder <b>" not in body
    assert not re.findall(r'(?:src|href)="(?!data:)', body)
    assert html.count("<figure>") == 3 * len(one.views) + 2
    assert "no claim that a model feels" in body and "median cosine" in body
    assert all(carrier.text in body for carrier in one.carriers)
    console = Console(file=StringIO(), width=80)
    render(one, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "▲ sad" in printed and max(map(len, printed.splitlines())) <= 80


def test_a_model_that_did_not_move() -> None:
    here = world({"copy": along("sad", 0.0)})
    [one] = compare(here.open, "base", ["copy"], here.vectors, PROMPTS, views=["plain end"])
    assert headline(one).endswith("no emotion moved beyond the noise floor.")
    assert examples(here.open, one) == []
    assert "no emotion moved" in page([one], [[]])
