"""Keys and limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from affekt.server import Settings
from affekt.server.access import Access, Caller
from affekt.server.failures import Refused
from affekt.server.store import Database, Keys, Limits
from tests.server.running import Running, running


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[tuple[Running, Keys]]:
    database = Database(f"sqlite:///{tmp_path / 'keys.sqlite'}")
    database.migrate()
    keys = Keys(database)
    with running(tmp_path, database=f"sqlite:///{tmp_path / 'keys.sqlite'}") as here:
        yield here, keys
    database.close()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_key_is_asked_for_in_its_place(keyed: tuple[Running, Keys]) -> None:
    server, keys = keyed
    key = keys.add("team")
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}

    def post(url: str = "/v1/chat/completions", **headers: str) -> tuple[int, str | None]:
        got = server.http.post(url, json=body, headers=headers)
        return got.status_code, got.json().get("error", {}).get("code")

    assert post() == (401, "missing_key")
    assert post(Authorization="Bearer ak-wrong") == (401, "invalid_key")
    assert post(Authorization=f"Basic {key}") == (401, "missing_key")
    assert post(**{"X-Api-Key": key}) == (401, "key_in_wrong_header")
    assert post(f"/v1/chat/completions?api_key={key}") == (401, "key_in_url")
    assert post(**bearer(key)) == (200, None)
    for path in ("/v1/models", "/v1/emotions", "/v1/events"):
        assert server.http.get(path).status_code == 401
    for path in ("/healthz", "/readyz", "/"):
        assert server.http.get(path).status_code == 200
    assert server.service.trail.replies()[0]["key"] == "team"


def test_a_key_caps_or_forbids_the_dial(keyed: tuple[Running, Keys]) -> None:
    server, keys = keyed
    some, none = keys.add("some", Limits(max_dial=0.3)), keys.add("none", Limits(max_dial=0))
    for key, dial, status in ((some, 0.3, 200), (some, -0.31, 400), (none, 0.1, 403)):
        body = {
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 2,
            "emotion_bias": {"calm": dial},
        }
        got = server.http.post("/v1/chat/completions", json=body, headers=bearer(key))
        assert got.status_code == status, got.text
    assert server.http.get("/v1/emotions", headers=bearer(some)).json()["max_dial"] == 0.3


@pytest.mark.parametrize(
    "bias",
    [
        {"calm": [0.3, 0.3]},
        {"calm": [{"dial": 0.9}]},
        {"calm": [0.1, {"dial": -0.5}]},
        {"calm": {"dial": 0.9}},
        {"calm": {"dose": 0.01}},
        {"calm": [{"dose": 0.01}]},
        {"calm": {"mode": "ablate"}},
        {"angry": [{"mode": "set", "value": 50}]},
        {"calm": float("inf")},
    ],
)
def test_no_form_of_a_bias_gets_around_a_keys_cap(tmp_path: Path, bias: dict[str, object]) -> None:
    database = f"sqlite:///{tmp_path / 'keys.sqlite'}"
    opened = Database(database)
    opened.migrate()
    capped, free = Keys(opened).add("capped", Limits(max_dial=0.4)), Keys(opened).add("free")
    opened.close()
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "emotion_bias": bias}
    content = json.dumps(body).encode()
    with running(tmp_path, Settings(raw_doses=True), database=database) as here:

        def post(key: str) -> int:
            headers = {**bearer(key), "Content-Type": "application/json"}
            return here.http.post("/v1/chat/completions", content=content, headers=headers).status_code

        assert post(capped) in (400, 403)
        if bias != {"calm": float("inf")}:
            assert post(free) == 200


COUNTER = {"do": "counter", "bias": {"calm": 0.3}}

STEERING: list[tuple[list[dict[str, object]], dict[str, float], int]] = [
    ([COUNTER], {}, 200),
    ([COUNTER], {"calm": 0.3}, 400),
    ([COUNTER, {**COUNTER, "release": 3}], {}, 400),
    ([{"do": "counter", "bias": {"calm": 0.9}}], {}, 400),
    ([{"do": "resample", "bias": {"calm": 0.9}}], {}, 400),
    ([{"do": "counter", "bias": {"calm": {"dose": 0.01}}}], {}, 403),
    ([{"do": "damp"}], {}, 403),
    ([{"do": "damp", "hold": {"calm": {"low": 50}}}], {}, 403),
]
"""Rules of a request, its bias, and what a key with a cap of 0.4 gets."""


def test_no_rule_of_a_request_gets_around_a_keys_cap(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'keys.sqlite'}"
    opened = Database(database)
    opened.migrate()
    keys = [Keys(opened).add(str(most), Limits(max_dial=most)) for most in (0.4, 0)]
    keys.append(Keys(opened).add("free"))
    opened.close()
    with running(tmp_path, Settings(raw_doses=True), database=database) as here:

        def statuses(actions: list[dict[str, object]], bias: dict[str, float]) -> list[int]:
            rules = [
                {"name": f"mine{i}", "what": "angry", "threshold": 50 + i, "action": action}
                for i, action in enumerate(actions)
            ]
            body = {
                "messages": [{"role": "user", "content": "Hi"}],
                "max_tokens": 1,
                "policy": {"monitors": rules},
                "emotion_bias": bias,
            }
            path = "/v1/chat/completions"
            return [here.http.post(path, json=body, headers=bearer(key)).status_code for key in keys]

        for actions, bias, capped in STEERING:
            assert statuses(actions, bias) == [capped, 403, 200], actions
        assert statuses([{"do": "stop"}], {}) == [200, 200, 200]


def test_rates_are_per_key_and_pass(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'keys.sqlite'}")
    database.migrate()
    now = [0.0]
    access = Access(Keys(database), Settings(), clock=lambda: now[0])
    few = Caller("few", Limits(requests_per_minute=2))
    other = Caller("other", Limits(tokens_per_minute=100))
    access.admit(few), access.admit(few)
    with pytest.raises(Refused, match="2 requests a minute") as caught:
        access.admit(few)
    assert caught.value.status == 429 and 1 <= int(caught.value.headers["Retry-After"]) <= 60
    access.admit(other)
    access.spend(other, 100)
    with pytest.raises(Refused, match="100 tokens a minute"):
        access.admit(other)
    now[0] = 60.5
    access.admit(few), access.admit(other)


def test_a_revoked_key_is_refused_within_seconds(keyed: tuple[Running, Keys]) -> None:
    server, keys = keyed
    key = keys.add("leaver")
    assert server.http.get("/v1/models", headers=bearer(key)).status_code == 200
    keys.revoke("leaver")
    server.service.access._clock = lambda: 1e9  # later than any answer that is still believed
    assert server.http.get("/v1/models", headers=bearer(key)).status_code == 401
