"""The policy as a floor, and what the client sees of a trip."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from affekt.server.store import Database, Keys
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
    for wrong in ({"calibration": "/etc/passwd"}, {"layer": 99}, {"self": 1}):
        got = guarded.chat(policy={**wrong, **stricter})
        assert got.status_code == 400 and got.json()["error"]["code"] == "invalid_policy"


def test_a_layer_that_the_vectors_do_not_hold_is_the_requests_fault(server: Running) -> None:
    watch = {"layer": 99, "monitors": [{"what": "angry", "threshold": 1, "action": "flag"}]}
    got = server.chat(policy=watch)
    assert got.status_code == 400 and "99" in got.json()["error"]["message"]


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
    for nothing in ({"texts": []}, {"texts": None}, {"texts": ["", " "]}, {}):
        got = guarded.http.post("/beta/litellm_basic_guardrail_api", json=nothing)
        assert got.json() == {"action": "NONE"}


def test_moderations_as_the_official_client_sees_them(guarded: Running, file: Path) -> None:
    file.write_text(policy(-1000))
    assert guarded.service.floor.reload()
    client = openai.OpenAI(base_url=guarded.url + "/v1", api_key="none", max_retries=0)
    got = client.moderations.create(input=["He was angry", "She is calm"], model="tiny-llama")
    assert got.id.startswith("modr-") and got.model == "tiny-llama" and len(got.results) == 2
    for result in got.results:
        assert result.flagged is True and result.categories.model_extra == {"alarm": True}
        assert 0.5 < result.category_scores.model_extra["alarm"] <= 1
    parts = [{"type": "text", "text": "He was"}, {"type": "text", "text": "angry"}]
    assert len(client.moderations.create(input=parts).results) == 1
    image = [{"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}]
    with pytest.raises(openai.BadRequestError):
        client.moderations.create(input=image)


def test_litellm_sends_its_key_as_x_api_key(tmp_path: Path, file: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'trail.sqlite'}")
    database.migrate()
    secret = Keys(database).add("litellm")
    database.close()
    # What LiteLLM 1.108 sends for a chat, with what it leaves empty.
    body = {
        "input_type": "request",
        "litellm_call_id": "c2b1",
        "litellm_trace_id": None,
        "structured_messages": [{"role": "user", "content": "He was angry"}],
        "images": None,
        "tools": None,
        "texts": ["He was angry"],
        "request_data": {"user_api_key_alias": "team"},
        "request_headers": {"user-agent": "[present]"},
        "additional_provider_specific_params": {},
        "tool_calls": None,
        "model": "tiny-llama",
    }
    file.write_text(policy(-1000))
    with running(tmp_path, policy=file) as here:

        def post(path: str, **headers: str) -> int:
            return here.http.post(path, json=body, headers=headers).status_code

        assert post("/beta/litellm_basic_guardrail_api") == 401
        assert post("/beta/litellm_basic_guardrail_api", **{"x-api-key": "ak-wrong"}) == 401
        assert post("/v1/moderations", **{"x-api-key": secret}) == 401
        got = here.http.post("/beta/litellm_basic_guardrail_api", json=body, headers={"x-api-key": secret})
        assert got.json()["action"] == "BLOCKED" and "alarm: z" in got.json()["blocked_reason"]


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
