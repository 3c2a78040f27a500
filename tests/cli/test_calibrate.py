"""`affekt calibrate`: what it promises is what its scores say; logs that are wrong; a run that is stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from affekt.cli import calibrate as command
from affekt.cli.calibrate import calibrate
from affekt.cli.monitors import calibration_file, monitor_of
from affekt.cli.traffic import Traffic, read_traffic, shipped_traffic
from affekt.engines import Sampling
from affekt.errors import CalibrationError, CorpusError, PolicyError, PromptError, UnknownConcept
from affekt.guards import Calibration, record
from affekt.guards.conformal import conformal
from tests.cli.session import Spied, log, run, use

SHORT = ("--max-tokens", "3")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Spied:
    return use(monkeypatch, command)


def test_the_threshold_follows_from_the_replies(engine: Spied, tmp_path: Path) -> None:
    traffic, vectors = log(tmp_path / "log.jsonl", 24), tmp_path / "v.safetensors"
    out = run(
        calibrate, "m", "-m", "desperate", "-m", "calm:below", "--rate", "0.05", "--traffic", traffic,
        "--vectors", vectors, *SHORT,
    )  # fmt: skip
    monitors = [monitor_of("desperate"), monitor_of("calm:below")]
    scores = record(engine, monitors, read_traffic(traffic).sources, Sampling(3, seed=0))
    over, under = (conformal(scores[monitor.name], 0.05) for monitor in monitors)
    first, second, written = out.splitlines()
    assert first.startswith(
        f"desperate: alarm over z {over.threshold:.2f}; at most 5.00% false alarms per reply"
    )
    assert first.endswith("n = 24 dialogues, 32 replies")
    assert "on the average over calibrations" in first
    assert f"of this one: 95 % interval {over.low:.2%} to {over.high:.2%}" in first
    assert second.startswith(f"calm:below: alarm under z {-under.threshold:.2f};")
    assert written == f"written to {tmp_path / 'v.calibration.json'}"
    made = Calibration.load(calibration_file("m", vectors))
    assert made.threshold(monitors[1], 0.05) == -under.threshold
    assert made.sampling == Sampling(3, seed=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "v.calibration.json"]


def test_without_a_monitor_it_calibrates_the_example_policy(
    engine: Spied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic = read_traffic(log(tmp_path / "log.jsonl", 100))
    monkeypatch.setattr(command, "shipped_traffic", lambda: traffic)
    said = json.loads(run(calibrate, "m", "--out", tmp_path / "c.json", "--json", *SHORT))
    assert said["file"] == str(tmp_path / "c.json")
    assert [(row["monitor"], row["rate"]) for row in said["thresholds"]] == [
        (name, rate)
        for name in ("+0.5 afraid +0.5 desperate@prompt_end", "desperate@window:8", "angry", "hateful")
        for rate in (0.05, 0.01)
    ]
    for row in said["thresholds"]:
        assert row["n"] == 100 and row["low"] <= row["guaranteed"] <= row["rate"] <= row["high"]


def test_the_shipped_dialogues_are_enough_for_one_in_a_hundred() -> None:
    shipped = shipped_traffic()
    assert len(shipped.sources) == len(shipped.places) == 240
    assert shipped.places[0] == "neutral dialogue 1"


def test_too_few_dialogues_says_how_many_are_needed(engine: Spied, tmp_path: Path) -> None:
    traffic = log(tmp_path / "log.jsonl", 20)
    with pytest.raises(CalibrationError, match=r"20 dialogues cannot promise .* at least 99 are needed"):
        run(calibrate, "m", "-m", "calm", "--traffic", traffic, "--out", tmp_path / "c.json")
    assert not hasattr(engine, "asked")
    assert not (tmp_path / "c.json").exists()


def test_a_rate_kept_with_a_confidence(engine: Spied, tmp_path: Path) -> None:
    """The 24 dialogues do for 12 % at 95 %: 0.88 to the power of 24 is 0.047."""
    traffic, file = log(tmp_path / "log.jsonl", 24), tmp_path / "c.json"
    words = ("m", "-m", "calm", "--traffic", traffic, "--out", file, *SHORT, "--confidence", "0.95")
    first, _ = run(calibrate, *words, "--rate", "0.12").splitlines()
    [made] = Calibration.load(file).monitors
    assert made.confidence == 0.95
    highest = max(score for group in made.scores for score in group)
    assert made.promise(0.12).threshold == highest
    assert first.startswith(
        f"calm: alarm over z {highest:.2f}; at most 12.00% false alarms per reply with 95% confidence "
        f"(of this one: under {1 - 0.05 ** (1 / 24):.2%} with it), n = 24 dialogues"
    )
    [row] = json.loads(run(calibrate, *words, "--rate", "0.12", "--json"))["thresholds"]
    assert (row["confidence"], row["rate"], row["low"]) == (0.95, 0.12, 0.0)
    engine.asked = []
    with pytest.raises(CalibrationError, match=r"24 dialogues .* at least 29 are needed"):
        run(calibrate, *words, "--rate", "0.1")
    with pytest.raises(CalibrationError, match=r"a confidence of 95\.0; it must be from 0\.5 to under 1"):
        run(calibrate, *words[:-1], "95", "--rate", "0.12")
    assert not engine.asked


def test_a_stopped_run_goes_on_where_it_was(engine: Spied, tmp_path: Path) -> None:
    traffic, file = log(tmp_path / "log.jsonl", 20), tmp_path / "c.json"
    words = ("m", "-m", "calm", "--rate", "0.1", "--traffic", traffic, "--out", file, *SHORT)
    run(calibrate, *words)
    [whole] = Calibration.load(file).monitors
    engine.stop_after = 7
    file.unlink()
    # Ctrl-C ends the process in `main`; the runner makes it an exit code.
    run(calibrate, *words, code=130)
    assert not file.exists()
    assert len(list(tmp_path.glob("*.parts"))) == 1
    engine.asked, engine.stop_after = [], None
    run(calibrate, *words)
    assert len(engine.asked) == 27 - 7
    [made] = Calibration.load(file).monitors
    # Another batch sums in another order, so the last digits may differ.
    for before, after in zip(whole.scores, made.scores, strict=True):
        assert after == pytest.approx(before, abs=1e-4)
    assert not list(tmp_path.glob("*.parts"))


GOOD = '{"messages": [{"role": "user", "content": "Hello"}]}'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "expected a JSON object"),
        ('{"message": []}', "neither 'messages' nor 'text'; did you mean 'messages'"),
        ('{"messages": [], "text": "a"}', "both 'messages' and 'text'"),
        ('{"messages": []}', "at least one message"),
        ('{"messages": "Hello"}', "at least one message"),
        ('{"messages": [{"role": "user"}]}', "message 1 has no 'content' that is text"),
        ('{"messages": [{"role": "user", "content": null}]}', "message 1 has no 'content' that is text"),
        ('{"messages": ["Hello"]}', "message 1 has no 'role' that is text"),
        ('{"messages": [{"role": "assistant", "content": "Hello"}]}', "no turn of a user"),
        ('{"text": " "}', "'text' must be a text"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text(f"{GOOD}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(CorpusError) as found:
        read_traffic(file)
    assert str(found.value).startswith(f"{file}:3: ")
    assert message in str(found.value)


def test_a_log_without_dialogues_and_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(CorpusError, match="no dialogue in it"):
        read_traffic(tmp_path / "empty.jsonl")
    with pytest.raises(CorpusError, match="cannot be read"):
        read_traffic(tmp_path / "none.jsonl")


def test_a_prompt_that_is_too_long_is_found_before_anything_is_run(engine: Spied, tmp_path: Path) -> None:
    file = log(tmp_path / "log.jsonl", 100)
    long = {"messages": [{"role": "user", "content": "river " * 2500}]}
    file.write_text(file.read_text() + json.dumps(long) + "\n")
    with pytest.raises(PromptError, match=r"log\.jsonl:101: "):
        run(calibrate, "m", "-m", "calm", "--traffic", file, "--out", tmp_path / "c.json")
    assert not hasattr(engine, "asked")


def test_texts_and_other_keys_of_a_log_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text('{"text": "The river", "model": "x"}\n' + GOOD)
    chat = ({"role": "user", "content": "Hello"},)
    assert read_traffic(file) == Traffic(("The river", chat), (f"{file}:1", f"{file}:2"))


@pytest.mark.parametrize(
    ("asked", "parts"),
    [
        ("calm", ("calm", "reply", "above", None)),
        ("at ease@prompt_end", ("at ease", "prompt_end", "above", None)),
        ("valence:below@window:16", ("valence", "window", "below", 16)),
        ("calm:above@reply_mean", ("calm", "reply_mean", "above", None)),
    ],
)
def test_monitors_as_they_are_asked_for(asked: str, parts: tuple[Any, ...]) -> None:
    made = monitor_of(asked)
    assert (made.what, made.position, made.direction, made.window) == parts
    assert made.name == asked and made.threshold is None


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("calm:over", "unknown 'over'"),
        ("calm@prompt", "did you mean 'prompt_end'"),
        ("calm@", "unknown ''"),
        ("calm@window", "a number of tokens"),
        ("calm@window:x", "'x' is no number of tokens"),
        ("calm@reply:4", "goes with position 'window'"),
        ("", "nothing to watch|without a name"),
    ],
)
def test_monitors_that_are_none(asked: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        monitor_of(asked)


def test_what_the_vectors_do_not_hold_and_a_policy_without_rates(engine: Spied, tmp_path: Path) -> None:
    traffic = log(tmp_path / "log.jsonl", 20)
    with pytest.raises(UnknownConcept, match="did you mean 'desperate'"):
        run(calibrate, "m", "-m", "desparate", "--rate", "0.1", "--traffic", traffic)
    policy = tmp_path / "policy.yaml"
    policy.write_text("monitors: [{what: calm, threshold: 3, action: stop}]")
    with pytest.raises(CalibrationError, match="nothing to calibrate"):
        run(calibrate, "m", "--policy", policy)


def test_a_monitor_that_is_asked_for_twice_is_measured_once(engine: Spied, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "layer: 1\nmonitors: [{what: calm, rate: 10 %, action: flag}, {what: calm, rate: 5 %, action: stop}]"
    )
    traffic = log(tmp_path / "log.jsonl", 24)
    words = ("--rate", "0.2", "--traffic", traffic, "--out", tmp_path / "c.json", "--json", *SHORT)
    said = json.loads(run(calibrate, "m", "-m", "calm", "--policy", policy, *words))
    assert [(row["monitor"], row["rate"]) for row in said["thresholds"]] == [
        ("calm", 0.2), ("calm", 0.1), ("calm", 0.05),
    ]  # fmt: skip
    assert said["layer"] == 1
