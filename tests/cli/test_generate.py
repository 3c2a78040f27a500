"""`affekt generate`: answers as alone, checked before any work, stopped and gone on with, nothing lost."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from affekt.cli import calibrate as calibrate_command
from affekt.cli import generate as command
from affekt.cli.calibrate import calibrate
from affekt.cli.generate import generate
from affekt.engines import Reply, Request, Sampling
from affekt.engines.transformers.batch import Batch
from affekt.errors import AffektError, PromptError, StorageError
from tests.cli.session import Spied, log, run, use

CHAT = [{"role": "user", "content": "What shall we do now?"}]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Spied:
    return use(monkeypatch, command, calibrate_command)


def file(path: Path, *records: Mapping[str, Any] | str) -> Path:
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def lines(path: Path) -> dict[str, dict[str, Any]]:
    made = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len({(line["id"], line.get("choice")) for line in made}) == len(made), "an id was answered twice"
    return {line["id"]: line for line in made}


def many(path: Path, n: int) -> Path:
    return file(path, *({"id": f"r{i}", "prompt": f"Say {i}.", "max_tokens": 1 + i % 4} for i in range(n)))


def test_each_answer_is_that_of_the_request_alone(engine: Spied, tmp_path: Path) -> None:
    source = file(
        tmp_path / "in.jsonl",
        {"id": "a", "messages": CHAT, "emotion_bias": {"calm": 0.9}, "emotions": ["calm", "angry"]},
        {"prompt": "What shall we do now?", "max_tokens": 3, "meta": {"label": 7}, "bias": {"angry": -0.5}},
        {
            "id": 9,
            "text": "The river was calm",
            "max_tokens": 12,
            "seed": 4,
            "temperature": 1.5,
            "logprobs": 0,
        },
    )
    out = tmp_path / "new" / "out.jsonl"
    run(generate, "m", source, out, "--max-tokens", 8, "--batch", 2)
    made = lines(out)
    assert set(made) == {"a", "2", "9"}
    asked = [
        Request(CHAT, Sampling(8), bias={"calm": 0.9}, read=("calm", "angry")),
        Request(CHAT, Sampling(3), bias={"angry": -0.5}),
        Request("The river was calm", Sampling(12, 1.5, seed=4, logprobs=0)),
    ]
    for id, request in zip(("a", "2", "9"), asked, strict=True):
        [alone] = [event for event in engine.generate([request]) if isinstance(event, Reply)]
        line = made[id]
        assert line["text"] == alone.text and line["tokens"] == len(alone.tokens)
        assert line["finish_reason"] == alone.finish_reason and line["prompt_tokens"] == alone.prompt_tokens
    assert made["2"]["meta"] == {"label": 7} and "meta" not in made["a"]
    assert len(made["9"]["logprobs"]) == made["9"]["tokens"]


def test_readings_are_summed_up(engine: Spied, tmp_path: Path) -> None:
    source = file(tmp_path / "in.jsonl", {"messages": CHAT, "max_tokens": 10}, {"text": "She", "read": "all"})
    run(generate, "m", source, tmp_path / "out.jsonl", "--read", "calm,angry", "--max-tokens", 2)
    made = lines(tmp_path / "out.jsonl")
    request = Request(CHAT, Sampling(10), read=("calm", "angry"))
    [reply] = [event for event in engine.generate([request]) if isinstance(event, Reply)]
    reading = reply.reading
    assert reading is not None
    rows = [i for i in range(reply.prompt_tokens, len(reading)) if reading.roles[i] != "special"]
    said = made["1"]["readings"]
    assert (
        said["layer"] == reading.layer
        and said["n"] == len(rows)
        and set(said["concepts"]) == {"calm", "angry"}
    )
    for name, own in said["concepts"].items():
        z = reading.of(name)
        assert own["prompt_end"] == pytest.approx(z[reply.prompt_tokens - 1], abs=2e-3)
        assert own["mean"] == pytest.approx(z[rows].mean(), abs=2e-3)
        assert own["max"] == pytest.approx(z[rows].max(), abs=2e-3)
        at = own["max_at"]["token"] + reply.prompt_tokens
        assert z[at] == z[rows].max() and own["max_at"]["text"] == reading.tokens[at]
    assert len(made["2"]["readings"]["concepts"]) == 5
    assert made["2"]["readings"]["concepts"]["calm"]["margin"] is None


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("{", "not JSON"),
        ("[1]", "expected a JSON object, found list"),
        ({"prompt": "x", "bais": {}}, "unknown key 'bais'; did you mean 'bias'"),
        ({"prompt": "x", "text": "y"}, "expected one of messages, prompt, text, found prompt and text"),
        ({"id": "x"}, "found none"),
        ({"messages": "Hello"}, "messages: expected a list of objects"),
        ({"messages": []}, "no messages"),
        ({"prompt": " "}, "prompt: it is empty"),
        ({"prompt": "x", "stop": [""]}, "an empty stop string"),
        ('{"prompt": "\\ud800"}', "half a surrogate pair"),
        ({"messages": [{"role": "usr", "content": "x"}]}, "usr"),
        ({"prompt": "x", "max_tokens": "10"}, "max_tokens: expected a whole number, not '10'"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens is 0"),
        ({"prompt": "x", "temperature": True}, "temperature: expected a number, not True"),
        ({"prompt": "x", "bias": {"clam": 0.5}}, "unknown concept 'clam'; did you mean 'calm'"),
        ({"prompt": "x", "bias": {}, "emotion_bias": {}}, "'bias' and 'emotion_bias' are the same"),
        ({"prompt": "x", "read": ["angri"]}, "did you mean 'angry'"),
        ({"prompt": "x", "stop": 3}, "stop: expected a list of texts"),
        ({"prompt": "long " * 2100}, "2,048"),
        ({"prompt": "x", "n": 0}, "n is 0"),
        ({"prompt": "x", "temperature": 10**400}, "temperature: 10000000000000000000… is too large"),
        ({"prompt": "x", "n": 10**9}, "n: 1000000000 replies; at most 1,024"),
        ('{"prompt": "x", "seed": ' + "1" * 5000 + "}", "not JSON"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "unknown role ['user']"),
        ({"id": "good", "prompt": "x"}, "the id 'good' stands at"),
        ({"id": [1], "prompt": "x"}, "id: expected a text or a whole number"),
    ],
)
def test_one_bad_record_stops_everything_before_it_begins(
    engine: Spied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Any, why: str
) -> None:
    source = file(tmp_path / "in.jsonl", {"id": "good", "prompt": "x", "max_tokens": 1}, record)
    monkeypatch.setattr(Batch, "step", lambda _: pytest.fail("it began to work"))
    with pytest.raises(PromptError) as error:
        run(generate, "m", source, tmp_path / "out.jsonl")
    assert str(error.value).startswith(f"{source}:2: ") and why in str(error.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_bad_records_may_be_left_out(engine: Spied, tmp_path: Path) -> None:
    source = file(
        tmp_path / "in.jsonl", "{", {"prompt": "x", "max_tokens": 1}, {"prompt": "x", "bias": {"clam": 1}}
    )
    with pytest.raises(PromptError, match="--skip-bad leaves bad records out"):
        run(generate, "m", source, tmp_path / "out.jsonl")
    run(generate, "m", source, tmp_path / "out.jsonl", "--skip-bad")
    assert set(lines(tmp_path / "out.jsonl")) == {"2"}


def test_an_empty_or_missing_file_is_an_error(engine: Spied, tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="no record"):
        run(generate, "m", file(tmp_path / "in.jsonl", ""), tmp_path / "out.jsonl")
    with pytest.raises(PromptError, match="cannot be read"):
        run(generate, "m", tmp_path / "none.jsonl", tmp_path / "out.jsonl")
    run(generate, "m", tmp_path / "in.jsonl", tmp_path / "in.jsonl", code=2)


def stopping(monkeypatch: pytest.MonkeyPatch, steps: int, stop: Any) -> None:
    """Has the batch's step number `steps` followed by `stop`, once."""
    step, count = Batch.step, [0]

    def counted(batch: Batch) -> Any:
        out = step(batch)
        count[0] += 1
        if count[0] == steps:
            stop()
        return out

    monkeypatch.setattr(Batch, "step", counted)


def test_ctrl_c_loses_no_finished_reply_and_the_same_command_goes_on(
    engine: Spied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out, whole = many(tmp_path / "in.jsonl", 40), tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    handler = signal.getsignal(signal.SIGINT)
    run(generate, "m", source, whole, "--batch", 4)
    finished: list[str] = []
    with monkeypatch.context() as patch:
        stopping(patch, 9, lambda: os.kill(os.getpid(), signal.SIGINT))
        step = Batch.step

        def noted(batch: Batch) -> Any:
            events = step(batch)
            finished.extend(event.request for event in events if isinstance(event, Reply))
            return events

        patch.setattr(Batch, "step", noted)
        run(generate, "m", source, out, "--batch", 4, code=130)
    assert 4 <= len(finished) < 40 and set(lines(out)) == set(finished)
    before = out.read_bytes()
    run(generate, "m", source, out, "--batch", 4)
    assert out.read_bytes().startswith(before) and lines(out) == lines(whole)
    run(generate, "m", source, out)
    assert lines(out) == lines(whole)
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_failure_in_the_model_loses_no_finished_reply(
    engine: Spied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = many(tmp_path / "in.jsonl", 12), tmp_path / "out.jsonl"

    def fail() -> None:
        raise AffektError("out of memory")

    with monkeypatch.context() as patch:
        stopping(patch, 6, fail)
        with pytest.raises(AffektError, match="out of memory"):
            run(generate, "m", source, out, "--batch", 3)
    kept = set(lines(out))
    assert kept
    run(generate, "m", source, out)
    assert set(lines(out)) == {f"r{i}" for i in range(12)}


def test_a_torn_last_line_is_dropped(engine: Spied, tmp_path: Path) -> None:
    source, out = many(tmp_path / "in.jsonl", 5), tmp_path / "out.jsonl"
    run(generate, "m", source, out)
    whole = lines(out)
    content = out.read_bytes()
    for torn in (content[:-30], content[:-1], content + b'{"id": "r', content[:-20] + b"\0\0\0"):
        out.write_bytes(torn)
        run(generate, "m", source, out)
        assert lines(out) == whole and out.read_bytes().endswith(b"\n")


def test_several_choices_are_one_answer(engine: Spied, tmp_path: Path) -> None:
    record = {"id": "x", "prompt": "Go on.", "n": 3, "temperature": 2.0, "seed": 1, "max_tokens": 4}
    source, out = (
        file(tmp_path / "in.jsonl", {"id": "y", "prompt": "Go.", "max_tokens": 1}, record),
        tmp_path / "o",
    )
    run(generate, "m", source, out)
    made = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["choice"] for line in made if line["id"] == "x"] == [0, 1, 2]
    assert "choice" not in next(line for line in made if line["id"] == "y")
    own = [line for line in out.read_bytes().splitlines(keepends=True) if b'"id": "x"' in line]
    other = [line for line in out.read_bytes().splitlines(keepends=True) if b'"id": "y"' in line]
    out.write_bytes(b"".join([*other, *own[:2]]))
    run(generate, "m", source, out)
    assert out.read_bytes() == b"".join([*other, *own])


def test_answers_of_another_kind_are_not_mixed_in(engine: Spied, tmp_path: Path) -> None:
    source, out = many(tmp_path / "in.jsonl", 3), tmp_path / "out.jsonl"
    run(generate, "m", source, out)
    before = out.read_bytes()
    with pytest.raises(StorageError, match=r"out\.jsonl:\d: an answer of the id 'r\d' to another request"):
        run(generate, "m", source, out, "--bias", "calm=0.5")
    out.write_bytes(b"hello\n" + before)
    with pytest.raises(StorageError, match=r"out\.jsonl:1: not an answer"):
        run(generate, "m", source, out)
    assert out.read_bytes() == b"hello\n" + before


def test_a_policy_watches_every_reply(engine: Spied, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "monitors:\n  - what: calm\n    position: prompt_end\n    threshold: -1000\n    action: flag\n"
    )
    source = file(tmp_path / "in.jsonl", {"prompt": "x", "max_tokens": 2}, {"prompt": "y", "max_tokens": 2})
    run(generate, "m", source, tmp_path / "out.jsonl", "--policy", policy)
    for line in lines(tmp_path / "out.jsonl").values():
        assert line["flagged"] and not line["replaced"]
        [event] = line["events"]
        assert event["action"] == "flag" and event["request"] == line["id"]


def test_answers_under_other_thresholds_are_not_mixed_in(engine: Spied, tmp_path: Path) -> None:
    policy, vectors = tmp_path / "policy.yaml", tmp_path / "v.safetensors"
    policy.write_text("monitors: [{what: calm, rate: 10 %, action: flag}]\n")
    source = file(tmp_path / "in.jsonl", {"id": "a", "prompt": "x", "max_tokens": 1})
    words = ("m", source, tmp_path / "out.jsonl", "--policy", policy, "--vectors", vectors)
    for first in (0, 100):
        traffic = log(tmp_path / f"{first}.jsonl", 10, start=first)
        options = ("--policy", policy, "--traffic", traffic, "--vectors", vectors, "--max-tokens", "2")
        run(calibrate, "m", *options)
        if first:
            with pytest.raises(StorageError, match="an answer of the id 'a' to another request"):
                run(generate, *words)
        else:
            run(generate, *words)
