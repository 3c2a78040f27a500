"""The policy as a floor, and what the client sees of a trip."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.running import Running, running

REFUSAL = "I would rather not go on."


def policy(threshold: float, action: str = f"{{do: refuse, text: {REFUSAL}}}") -> str:
    return f"monitors:\n  - {{name: alarm, what: calm, threshold: {threshold}, action: {action}}}\n"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(policy(-1000))
    return path


@pytest.fixture(scope="module")
def guarded(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("guarded"), policy=file) as here:
        yield here


def test_a_trip_is_a_content_filter_and_on_record(guarded: Running) -> None:
    got = guarded.chat().json()
    [choice] = got["choices"]
    assert choice["finish_reason"] == "content_filter" and choice["message"]["content"] == REFUSAL
    [event] = choice["affekt"]["events"]
    assert event["monitor"] == "alarm" and event["action"] == "refuse" and choice["affekt"]["replaced"]
    kept = [e for e in guarded.http.get("/v1/events").json()["data"] if e["request"] == got["id"]]
    assert [e["monitor"] for e in kept] == ["alarm"]
    assert guarded.service.trail.replies(request=got["id"])[0]["finish_reason"] == "guard"


def test_nothing_of_a_refused_reply_is_streamed(guarded: Running) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True, "max_tokens": 8}
    said = ""
    with guarded.http.stream("POST", "/v1/chat/completions", json=body) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: {"):
                said += json.loads(line[6:])["choices"][0]["delta"].get("content", "")
    assert said == REFUSAL


def test_a_request_may_raise_the_floor_and_never_lower_it(guarded: Running, file: Path) -> None:
    file.write_text(policy(1000))
    assert guarded.service.floor.reload()
    assert guarded.chat().json()["choices"][0]["finish_reason"] in ("length", "stop")
    stop = {"do": "stop"}
    stricter = {"monitors": [{"name": "mine", "what": "angry", "threshold": -1000, "action": stop}]}
    assert guarded.chat(policy=stricter).json()["choices"][0]["finish_reason"] == "content_filter"
    refuse = {"do": "refuse", "text": REFUSAL}
    looser = {"monitors": [{"name": "alarm", "what": "calm", "threshold": 2000, "action": refuse}]}
    got = guarded.chat(policy=looser)
    assert got.status_code == 400 and got.json()["error"]["code"] == "invalid_policy"
    assert "loosen" in got.json()["error"]["message"]
    named = {"calibration": "/etc/passwd", **stricter}
    assert guarded.chat(policy=named).status_code == 400


def test_a_bad_policy_keeps_the_old_one(
    guarded: Running, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text(policy(-1000))
    assert guarded.service.floor.reload()
    for bad in ("monitors: [", "monitors: []", policy(-1000).replace("calm", "clam")):
        file.write_text(bad)
        caplog.clear()
        assert not guarded.service.floor.reload()
        assert "stays as it was" in caplog.text
        assert guarded.chat().json()["choices"][0]["finish_reason"] == "content_filter"


def test_moderations_and_the_guardrail_agree_with_the_policy(guarded: Running, file: Path) -> None:
    for threshold, flagged, action in ((-1000, True, "BLOCKED"), (1000, False, "NONE")):
        file.write_text(policy(threshold))
        assert guarded.service.floor.reload()
        moderated = guarded.http.post(
            "/v1/moderations", json={"input": ["He was angry", "She is calm"]}
        ).json()
        assert [result["flagged"] for result in moderated["results"]] == [flagged] * 2
        scores = [result["category_scores"]["alarm"] for result in moderated["results"]]
        assert all((score > 0.5) == flagged for score in scores)
        body = {"texts": ["He was angry"], "input_type": "request"}
        got = guarded.http.post("/beta/litellm_basic_guardrail_api", json=body).json()
        assert got["action"] == action
    assert guarded.http.post("/beta/litellm_basic_guardrail_api", json={"texts": []}).json() == {
        "action": "NONE"
    }


def test_events_are_counted_and_streamed(guarded: Running, file: Path) -> None:
    file.write_text(policy(-1000))
    assert guarded.service.floor.reload()
    with guarded.http.stream("GET", "/v1/events/stream") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        got = guarded.chat().json()
        told = next(json.loads(line[6:]) for line in lines if line.startswith("data: "))
    assert told["request"] == got["id"] and told["monitor"] == "alarm"
    metrics = guarded.http.get("/metrics").text
    assert 'affekt_trips_total{action="refuse",monitor="alarm"}' in metrics
    assert guarded.http.get("/v1/emotions").json()["monitors"][0]["threshold"] == -1000


def test_without_a_policy_there_is_nothing_to_moderate_by(server: Running) -> None:
    assert server.http.post("/v1/moderations", json={"input": "x"}).status_code == 404
