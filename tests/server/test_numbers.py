"""Numbers that no reply could have are refused by name, and the server goes on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engines.small import CHAT
from tests.server.running import Running

HUGE, HUGER = 10**30, 10**400
RULE = {"name": "m", "what": "calm", "threshold": 1.0, "action": "flag"}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_tokens": HUGE}, "max_tokens"),
        ({"max_completion_tokens": HUGER}, "max_tokens"),
        ({"n": HUGE}, "n"),
        ({"seed": HUGE}, "seed"),
        ({"seed": -HUGER}, "seed"),
        ({"temperature": HUGER}, "temperature"),
        ({"top_p": HUGER}, "top_p"),
        ({"logprobs": True, "top_logprobs": HUGE}, "top_logprobs"),
        ({"emotion_bias": {"calm": HUGE}}, "emotion_bias"),
        ({"emotion_bias": {"calm": HUGER}}, "emotion_bias"),
        ({"emotion_bias": {"calm": {"dial": -HUGER}}}, "emotion_bias"),
        ({"emotion_bias": {"calm": [0.1, HUGER]}}, "emotion_bias"),
        ({"policy": {"monitors": [RULE | {"threshold": HUGER}]}}, "threshold"),
        ({"policy": {"monitors": [RULE], "layer": HUGER}}, "layer"),
    ],
    ids=range(14),
)
def test_a_number_that_cannot_be_is_refused_by_name(
    server: Running, fields: dict[str, Any], named: str
) -> None:
    got = server.chat(**fields)
    assert got.status_code == 400, got.text
    assert named in got.json()["error"]["message"]
    assert server.chat().status_code == 200


@pytest.mark.parametrize("fields", [{"seed": -1}, {"seed": HUGE}, {"rows": HUGE}])
def test_an_explanation_takes_no_such_number_either(server: Running, fields: dict[str, Any]) -> None:
    got = server.http.post("/v1/explain", json={"messages": CHAT, "reply": "Yes.", **fields})
    assert got.status_code == 400 and next(iter(fields)) in got.json()["error"]["message"]


def test_a_number_longer_than_python_reads_is_no_request(server: Running) -> None:
    body = b'{"messages": [{"role": "user", "content": "x"}], "seed": ' + b"1" * 5000 + b"}"
    got = server.http.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert got.status_code == 400
