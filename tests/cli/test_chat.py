"""`affekt chat`: what a conversation remembers, what its commands change, and a policy in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from affekt.cli import chat as command
from affekt.cli.chat import chat
from affekt.errors import BiasError, PolicyError, UnknownConcept
from tests.cli.session import NAMES, Spied, run, use

SHORT = ("m", "--max-tokens", "5", "--temperature", "0")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Spied:
    return use(monkeypatch, command)


def said(engine: Spied) -> list[list[tuple[str, str]]]:
    """The conversation of each request."""
    return [[(m["role"], m["content"]) for m in request.source] for request in engine.asked]


def test_a_reply_is_part_of_the_next_prompt(engine: Spied) -> None:
    out = run(chat, *SHORT, "--system", "Be brief.", typed="One river\nTwo rivers\n")
    first, second = said(engine)
    assert first == [("system", "Be brief."), ("user", "One river")]
    assert second[:2] == first
    assert [role for role, _ in second] == ["system", "user", "assistant", "user"]
    assert out.count("mean z over 5 tokens: desperate ") == 2
    assert engine.asked[0].read == ("desperate", "calm", "afraid", "angry")
    assert engine.asked[0].sampling.max_tokens == 5


def test_reset_forgets_all_but_the_system_message(engine: Spied) -> None:
    out = run(chat, *SHORT, "--system", "Be brief.", typed="One\n/reset\nTwo\n/quit\nThree\n")
    assert said(engine)[1:] == [[("system", "Be brief."), ("user", "Two")]]
    assert "forgotten" in out


def test_bias_and_read_hold_from_then_on(engine: Spied) -> None:
    typed = "One\n/bias calm=0.5 angry=-0.25\n/read angry,calm\nTwo\n/bias\n/bias off\n/read\nThree\n"
    out = run(chat, *SHORT, "--bias", "calm=0.1", typed=typed)
    assert [request.bias for request in engine.asked] == [{"calm": 0.1}, {"calm": 0.5, "angry": -0.25}, {}]
    assert engine.asked[1].read == ("angry", "calm")
    assert out.count("bias: {'calm': 0.5, 'angry': -0.25}") == 2
    assert "bias: none" in out and "reading: angry, calm" in out


def test_a_mistake_is_said_and_the_talk_goes_on(engine: Spied) -> None:
    typed = "/bias clam=0.5\n/bias calm\n/read dsperate\n/what\nOne\n"
    out = run(chat, *SHORT, typed=typed)
    assert "unknown concept 'clam'; did you mean 'calm'?" in out
    assert "--bias takes CONCEPT=NUMBER" in out
    assert "did you mean 'desperate'" in out
    assert "/bias calm=0.5 desperate=-0.5" in out
    assert [request.bias for request in engine.asked] == [{}]


def test_a_concept_of_two_words_can_be_a_bias(engine: Spied) -> None:
    assert "unknown concept 'at ease'" in run(chat, *SHORT, typed="/bias at ease=0.5 calm=1\n")


def test_what_is_wrong_from_the_start_ends_it(engine: Spied, tmp_path: Path) -> None:
    with pytest.raises(UnknownConcept, match="'clam'"):
        run(chat, *SHORT, "--bias", "clam=1")
    with pytest.raises(BiasError, match="CONCEPT=NUMBER"):
        run(chat, *SHORT, "--bias", "calm")
    with pytest.raises(UnknownConcept, match="'clam'"):
        run(chat, *SHORT, "--read", "clam")
    with pytest.raises(PolicyError, match="No such file"):
        run(chat, *SHORT, "--policy", tmp_path / "none.yaml")


def test_a_refusal_takes_the_place_of_the_reply(engine: Spied, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "layer: 1\nmonitors: [{name: any, what: calm, position: prompt_end, threshold: -99, "
        "action: {do: refuse, text: 'No [red]more[/red].'}}]"
    )
    out = run(chat, *SHORT, "--policy", policy, typed="One\nTwo\n")
    assert out.startswith("m, layer 1; ")
    assert "instead: No [red]more[/red]." in out
    assert "no tokens to read" in out
    assert out.count("guard: any: ") == 2
    assert said(engine)[1] == [("user", "One"), ("assistant", "No [red]more[/red]."), ("user", "Two")]
    assert {request.layer for request in engine.asked} == {1}


def test_a_policy_that_only_looks_notes_each_trip(engine: Spied, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("monitors: [{what: calm, threshold: -99, action: observe}]")
    watched = run(chat, *SHORT, "--policy", policy, typed="One\n")
    alone = run(chat, *SHORT, typed="One\n")
    assert [line for line in watched.splitlines() if "z over" in line] == [
        line for line in alone.splitlines() if "z over" in line
    ]
    assert "guard: calm above at reply: observe: " in watched and "guard" not in alone


def test_a_rate_needs_a_calibration(engine: Spied, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("monitors: [{what: calm, rate: 1 %, action: stop}]")
    with pytest.raises(PolicyError, match="affekt calibrate"):
        run(chat, *SHORT, "--policy", policy, "--vectors", tmp_path / "v.safetensors")


def test_the_tiny_vectors_hold_what_the_example_names() -> None:
    from affekt.cli.guard import EXAMPLE
    from affekt.guards import Policy

    Policy.load(EXAMPLE, NAMES)
