"""`affekt guard`: a policy tried on a prompt, checked without a model, and the example to begin with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from affekt.cli import calibrate as calibrate_command
from affekt.cli import guard as command
from affekt.cli.calibrate import calibrate
from affekt.cli.guard import EXAMPLE, guard
from affekt.concepts.concept import emotions
from affekt.engines import Request, Sampling
from affekt.errors import PolicyError
from affekt.guards import Policy
from tests.cli.session import Spied, log, run, use
from tests.engines.small import answers

PROMPT = "What about the river?"
TRY = ("try", "m", "--prompt", PROMPT, "--max-tokens", "6")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Spied:
    return use(monkeypatch, command, calibrate_command)


def policy(folder: Path, rule: str) -> Path:
    file = folder / "policy.yaml"
    file.write_text(f"monitors: [{{{rule}}}]")
    return file


def plain(engine: Spied) -> str:
    request = Request([{"role": "user", "content": PROMPT}], Sampling(6))
    [reply], _ = answers(engine, [request])
    return reply.text


def test_a_refusal_before_the_first_token_shows_no_token(engine: Spied, tmp_path: Path) -> None:
    file = policy(
        tmp_path,
        "name: any, what: calm, position: prompt_end, threshold: -99, action: {do: refuse, text: No.}",
    )
    out = run(guard, *TRY, "--policy", file)
    assert out.splitlines()[:3] == ["", "--- replaced by:", "No."]
    assert "0 tokens, guard, flagged" in out
    assert "is over -99.00 at the prompt's end; refuse: the reply is replaced" in out
    assert plain(engine) not in out
    said = json.loads(run(guard, *TRY, "--policy", file, "--json"))
    [event] = said.pop("events")
    assert said == {"text": "No.", "finish_reason": "guard", "flagged": True, "replaced": True}
    assert (event["monitor"], event["token"], event["action"]) == ("any", None, "refuse")


def test_observing_changes_no_token(engine: Spied, tmp_path: Path) -> None:
    file = policy(tmp_path, "what: calm, threshold: -99, action: observe")
    said = json.loads(run(guard, *TRY, "--policy", file, "--json"))
    assert said["text"] == plain(engine) and not said["flagged"]
    assert [event["action"] for event in said["events"]] == ["observe"]
    assert run(guard, *TRY, "--policy", file).startswith(plain(engine) + "\n--- ")


def test_nothing_tripped_is_said(engine: Spied, tmp_path: Path) -> None:
    file = policy(tmp_path, "what: calm, threshold: 99, action: stop")
    assert run(guard, *TRY, "--policy", file).endswith("nothing tripped\n")


def test_system_message_bias_and_seed_reach_the_request(engine: Spied, tmp_path: Path) -> None:
    file = policy(tmp_path, "what: calm, threshold: 99, action: stop")
    run(guard, *TRY, "--policy", file, "--system", "Be brief.", "-b", "calm=0.5", "--seed", "3")
    [request] = engine.asked
    assert [message["role"] for message in request.source] == ["system", "user"]
    assert request.bias == {"calm": 0.5}
    assert request.sampling == Sampling(6, seed=3)


def test_the_calibration_beside_the_vectors_is_taken(engine: Spied, tmp_path: Path) -> None:
    file, vectors = policy(tmp_path, "what: calm, rate: 10 %, action: flag"), tmp_path / "v.safetensors"
    words = (*TRY, "--policy", file, "--vectors", vectors)
    with pytest.raises(PolicyError, match=r"'calm above at reply: flag' is not calibrated.*affekt calibrate"):
        run(guard, *words)
    traffic = log(tmp_path / "log.jsonl", 12)
    run(calibrate, "m", "--policy", file, "--traffic", traffic, "--vectors", vectors, "--max-tokens", "6")
    assert "--- 6 tokens" in run(guard, *words)
    (tmp_path / "v.calibration.json").rename(tmp_path / "c.json")
    assert "--- 6 tokens" in run(guard, *words, "--calibration", tmp_path / "c.json")
    file.write_text(f"calibration: c.json\n{file.read_text()}")
    assert "--- 6 tokens" in run(guard, *words)


def test_a_policy_is_checked_without_a_model(tmp_path: Path) -> None:
    out = run(guard, "check", EXAMPLE)
    assert out.splitlines()[1] == "desperate for a while (calibrated to 5.00%)"
    assert out.endswith("4 rules, nothing wrong\n")
    file = tmp_path / "policy.yaml"
    file.write_text("name: mine\nmonitors:\n  - what: desparate\n    threshold: 3\n    action: stop\n")
    with pytest.raises(PolicyError, match=r"policy\.yaml, line 3, .*did you mean 'desperate'"):
        run(guard, "check", file)


def test_a_policy_is_checked_against_vectors(engine: Spied, tmp_path: Path) -> None:
    assert engine.vectors is not None
    vectors = engine.vectors.save(tmp_path / "v.safetensors")
    assert "nothing wrong" in run(guard, "check", EXAMPLE, "--vectors", vectors)
    file = policy(tmp_path, "what: happy, threshold: 3, action: stop")
    assert "nothing wrong" in run(guard, "check", file)
    with pytest.raises(PolicyError, match="unknown concept 'happy'"):
        run(guard, "check", file, "--vectors", vectors)


def test_the_example_is_a_policy_that_can_be_printed(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(run(guard, "example"), encoding="utf-8")
    known = [concept.name for concept in emotions()]
    loaded = Policy.load(file, known)
    assert loaded == Policy.load(EXAMPLE)
    assert [rule.action.do for rule in loaded.monitors] == ["flag", "counter", "damp", "refuse"]
    assert loaded.rewind == 0, "the example must do for every family, caches that cannot go back too"
