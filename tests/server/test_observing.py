"""What operators see: metrics, logs, spans, events of a key, the files in deploy/."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from affekt.server import JsonLines, Settings
from affekt.server.store import Database, Keys
from tests.server.running import Running, running

DEPLOY = Path(__file__).parents[2] / "deploy"
POLICY = """
monitors:
  - {name: alarm, what: calm, threshold: -1000, action: {do: flag}}
  - {name: floor, what: angry, threshold: -1000, direction: below, action: {do: observe}}
  - {name: mixed, what: {calm: 1.0, angry: -1.0}, threshold: 1000, action: {do: stop}}
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "p.yaml").write_text(POLICY)
    with running(folder, Settings(text="keep"), policy=folder / "p.yaml") as here:
        yield here


def metric(server: Running, name: str) -> float:
    text = server.http.get("/metrics").text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_monitored_readings_are_counted_whatever_a_client_asks_for(watched: Running) -> None:
    names = [
        f'affekt_reading_z_count{{concept="{concept}",monitor="{name}"}}'
        for name, concept in (("alarm", "calm"), ("floor", "angry"), ("mixed", "mixture"))
    ]
    before = [metric(watched, name) for name in names]
    watched.chat()
    watched.chat(emotions="all")
    assert [metric(watched, name) for name in names] == [count + 2 for count in before]
    # Names that requests bring with them make no series of their own.
    own = {
        "monitors": [{"name": "of-a-client", "what": "angry", "threshold": -1000, "action": {"do": "flag"}}]
    }
    assert watched.chat(policy=own).status_code == 200
    text = watched.http.get("/metrics").text
    assert "of-a-client" not in text and 'affekt_trips_total{action="flag",monitor="(of requests)"}' in text
    assert metric(watched, "affekt_live_requests") == metric(watched, "affekt_waiting_requests") == 0


def test_every_expression_of_the_grafana_file_is_a_metric_there_is(watched: Running) -> None:
    watched.chat()
    board = json.loads((DEPLOY / "grafana.json").read_text())
    text = watched.http.get("/metrics").text
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"affekt_\w+", target["expr"])
    }
    assert len(asked) >= 7
    assert [name for name in asked if not re.search(rf"^{name}[{{ ]", text, re.MULTILINE)] == []
    places = [panel["gridPos"] for panel in board["panels"]]
    assert len({(place["x"], place["y"]) for place in places}) == len(places)
    assert len({panel["id"] for panel in board["panels"]}) == len(places)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_the_systemd_unit_is_one(tmp_path: Path) -> None:
    unit = tmp_path / "affekt.service"
    # The program is not at its place here; another stands in for it.
    unit.write_text((DEPLOY / "affekt.service").read_text().replace("/opt/affekt/bin/affekt", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert "affekt.service" not in done.stderr, done.stderr


def test_events_say_what_was_watched_and_the_tokens_around(watched: Running) -> None:
    got = watched.chat("Hello", emotions=["calm"]).json()
    rows = watched.http.get("/v1/events", params={"request_id": got["id"]}).json()["data"]
    tripped = {row["monitor"]: row for row in rows}
    assert set(tripped) == {"alarm", "floor"} or set(tripped) == {"alarm"}
    alarm = tripped["alarm"]
    assert alarm["concepts"] == ["calm"]
    told = got["choices"][0]["affekt"]["tokens"]
    assert alarm["heat"]["text"] == [token["text"] for token in told]
    z = [token["z"]["calm"] for token in told]
    heat = alarm["heat"]["z"]
    assert [value for value in heat if value is not None] == pytest.approx(z[: len(heat)], abs=2e-3)
    by_concept = watched.http.get("/v1/events", params={"concept": "calm", "limit": 1000}).json()["data"]
    assert got["id"] in {row["request"] for row in by_concept}
    assert watched.http.get("/v1/events", params={"concept": "bored"}).json()["data"] == []
    last = rows[-1]["id"]
    assert watched.http.get("/v1/events", params={"after": last}).json()["data"] == []


def test_a_key_sees_its_own_events_and_no_others(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'trail.sqlite'}"
    database = Database(url)
    database.migrate()
    mine, theirs = ({"Authorization": f"Bearer {Keys(database).add(name)}"} for name in ("mine", "theirs"))
    (tmp_path / "p.yaml").write_text(POLICY)
    with running(tmp_path, policy=tmp_path / "p.yaml", database=url) as here:
        body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3, "temperature": 0}

        def ask(headers: dict[str, str]) -> str:
            got = here.http.post("/v1/chat/completions", json=body, headers=headers)
            return str(got.json()["id"])

        with here.http.stream("GET", "/v1/events/stream", headers=mine) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith(":")
            other, own = ask(theirs), ask(mine)
            live = next(json.loads(line[6:]) for line in lines if line.startswith("data: "))
        assert live["request"] == own and live["key"] == "mine"
        found = here.http.get("/v1/events", headers=mine).json()["data"]
        assert {row["request"] for row in found} == {own} and live in found
        assert {r["request"] for r in here.http.get("/v1/events", headers=theirs).json()["data"]} == {other}
    database.close()


def test_log_lines_are_json_without_a_word_of_the_prompt(
    watched: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="affekt.server")
    got = watched.chat("My secret is zanzibar", max_tokens=2)
    assert watched.chat("zanzibar", model="none").status_code == 404
    lines = [
        json.loads(JsonLines().format(record)) for record in caplog.records if record.name == "affekt.server"
    ]
    [line] = [line for line in lines if line.get("id") == got.headers["x-request-id"]]
    assert line["route"] == "/v1/chat/completions" and line["status"] == 200 and line["seconds"] >= 0
    assert line["level"] == "info" and line["key"] is None and "time" in line
    assert "zanzibar" not in json.dumps(lines)


def test_readings_beside_the_replies_wait_in_a_short_line(tmp_path: Path) -> None:
    with running(tmp_path, Settings(queue=2)) as here:
        slow, go = threading.Event(), threading.Event()
        real = here.service.engine.read

        def held(*args: object, **named: object) -> object:
            slow.set()
            go.wait(30)
            return real(*args, **named)  # type: ignore[arg-type]

        here.service.engine.read = held  # type: ignore[method-assign, assignment]
        codes: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: codes.append(here.http.post("/v1/read", json={"text": "x y"}).status_code)
            )
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        assert slow.wait(30)
        gate = here.service.reads
        while gate._here < 2:
            pass
        got = here.http.post("/v1/read", json={"text": "x y"})
        assert got.status_code == 429 and got.headers["Retry-After"] == "1"
        go.set()
        for thread in threads:
            thread.join()
        assert codes == [200, 200]
