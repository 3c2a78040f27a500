"""`affekt explain`: a table, JSON or a page; the model's own reply where none is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from affekt.cli import explain as command
from affekt.cli.explain import explain
from affekt.engines import Reply, Request, Sampling
from affekt.errors import CalibrationError, PromptError, UnknownConcept
from tests.cli.session import NAMES, Spied, run, use

ASK = ("m", "--prompt", "What shall we do now?")
REPLY = "She was calm and wrote to her brother."
FEW = ("--rows", "28")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Spied:
    return use(monkeypatch, command)


def test_a_given_reply_as_a_table(engine: Spied) -> None:
    out = run(explain, *ASK, "--reply", REPLY)
    rows = [line.split()[0] for line in out.splitlines() if line.split() and line.split()[0] in NAMES]
    assert set(rows) >= set(NAMES) and "log-probability" in out and "random" in out.lower()
    assert REPLY.split()[0] in out and "Traceback" not in out


def test_json_has_the_effects_and_the_system_message_is_part_of_the_prompt(engine: Spied) -> None:
    words = ("--reply", REPLY, "--json", "--concepts", "calm, hateful", *FEW)
    found = json.loads(run(explain, *ASK, *words, "--system", "Be brief."))
    assert {effect["concept"] for effect in found["effects"]} == {"calm", "hateful"}
    assert found["replies"][0]["text"] == REPLY and found["rows"] == 31
    assert "Be brief." in found["replies"][0]["reading"]["text"]
    assert found["nats"] == pytest.approx(sum(found["replies"][0]["logprobs"]), abs=1e-2)


def test_without_a_reply_the_models_own_is_explained(engine: Spied) -> None:
    found = json.loads(run(explain, *ASK, "--json", "--max-tokens", "9", *FEW))
    request = Request([{"role": "user", "content": ASK[2]}], Sampling(9))
    [own] = [event for event in engine.generate([request]) if isinstance(event, Reply)]
    assert found["replies"][0]["text"] == own.text
    assert len(found["replies"][0]["logprobs"]) == len([t for t in own.whole.roles if t == "assistant"])


def test_why_this_one_and_not_that_one_on_a_page(engine: Spied, tmp_path: Path) -> None:
    page = tmp_path / "why.html"
    assert run(explain, *ASK, "--reply", REPLY, "--against", "He was angry.", "--html", page, *FEW) == ""
    html = page.read_text(encoding="utf-8")
    assert html.count("<article") == 2 and "log-odds" in html and 'data-concept="' in html


def test_what_cannot_be_explained(engine: Spied, tmp_path: Path) -> None:
    with pytest.raises(UnknownConcept, match="did you mean 'angry'"):
        run(explain, *ASK, "--reply", REPLY, "--concepts", "angri")
    with pytest.raises(PromptError, match="empty"):
        run(explain, *ASK, "--reply", " ")
    with pytest.raises(PromptError, match="the same"):
        run(explain, *ASK, "--reply", REPLY, "--against", REPLY)
    with pytest.raises(CalibrationError, match="5 rows are too few"):
        run(explain, *ASK, "--reply", REPLY, "--rows", "5")
