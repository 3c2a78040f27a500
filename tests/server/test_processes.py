"""A server in a process of its own: killed, ended, its disk and its database taken away."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from affekt.server.store import Database
from tests.server.postgres import Postgres
from tests.server.test_faults import LONG, ROOT, until

SERVE = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from affekt.server import Service, Serving, Settings
from tests.engines.small import engine
settings = Settings(on_store_failure=sys.argv[3])
service = Service.of(engine(), settings, database=sys.argv[1], policy=Path(sys.argv[2]))
class Told(Serving):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
Told(service, port=0).run()
print("to be closed", flush=True)
"""


Start = Callable[..., tuple["subprocess.Popen[str]", str]]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Start]:
    policy = tmp_path / "policy.yaml"
    policy.write_text("monitors: [{name: a, what: calm, threshold: -1000, action: {do: flag}}]\n")
    started: list[subprocess.Popen[str]] = []

    def start(
        database: str = f"sqlite:///{tmp_path / 't.sqlite'}", on_failure: str = "closed"
    ) -> tuple[subprocess.Popen[str], str]:
        code = SERVE.format(root=str(ROOT))
        command = [sys.executable, "-c", code, database, str(policy), on_failure]
        with (tmp_path / "log").open("a") as log:
            one = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)
        started.append(one)
        assert one.stdout is not None
        return one, f"http://127.0.0.1:{int(one.stdout.readline())}"

    yield start
    for one in started:
        one.kill()
        one.wait()


def ask(url: str, **fields: Any) -> httpx.Response:
    return httpx.post(url + "/v1/chat/completions", json={**LONG, "max_tokens": 4, **fields}, timeout=60)


def told_of(url: str, told: set[str], lock: threading.Lock) -> None:
    """A client that streams replies until the server is gone, and keeps what it was told of an event."""
    with suppress(httpx.HTTPError):
        while True:
            body = {**LONG, "max_tokens": 5, "stream": True}
            with httpx.stream("POST", url + "/v1/chat/completions", json=body, timeout=60) as stream:
                for line in stream.iter_lines():
                    if line.startswith("data: {"):
                        choice = json.loads(line[6:])["choices"][0]
                        for event in choice.get("affekt", {}).get("events", ()):
                            with lock:
                                told.add(event["request"])


def test_a_kill_loses_no_event_that_a_client_was_told_of(process: Start) -> None:
    server, url = process()
    told: set[str] = set()
    lock = threading.Lock()
    threads = [threading.Thread(target=told_of, args=(url, told, lock)) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(told) >= 12)
    server.send_signal(signal.SIGKILL)  # in the middle of four streams
    server.wait()
    for thread in threads:
        thread.join()
    _, again = process()
    found = httpx.get(again + "/v1/events", params={"limit": 1000}, timeout=60).json()["data"]
    assert told <= {event["request"] for event in found}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_shutdown_lets_running_replies_finish_and_takes_no_new_ones(
    process: Start, how: signal.Signals
) -> None:
    server, url = process()
    lines: list[str] = []
    statuses: list[int] = []

    def newcomer() -> None:
        with suppress(httpx.HTTPError):
            while True:
                statuses.append(ask(url, max_tokens=1).status_code)

    late = threading.Thread(target=newcomer)
    with httpx.stream("GET", url + "/v1/events/stream", timeout=60) as listening:
        next(listening.iter_lines())
        body = {**LONG, "max_tokens": 300, "stream": True}
        with httpx.stream("POST", url + "/v1/chat/completions", json=body, timeout=60) as stream:
            for line in stream.iter_lines():
                if not lines:
                    server.send_signal(how)
                    late.start()
                lines.append(line)
        assert "data: [DONE]" in lines
        # A listener does not hold the end up.
        assert server.wait(15) == 0
    # The process has gone on after the server: that is where an engine with processes of its own is closed.
    assert server.stdout is not None and server.stdout.read() == "to be closed\n"
    late.join()
    assert set(statuses) <= {200, 503}
    with pytest.raises(httpx.ConnectError):
        ask(url)


def test_a_second_signal_ends_it_at_once(process: Start) -> None:
    server, url = process()
    body = {**LONG, "max_tokens": 2000, "stream": True}
    with (
        suppress(httpx.HTTPError),
        httpx.stream("POST", url + "/v1/chat/completions", json=body, timeout=60) as stream,
    ):
        lines = stream.iter_lines()
        next(lines)
        server.send_signal(signal.SIGTERM)
        until(lambda: unready(url))
        server.send_signal(signal.SIGTERM)
        assert server.wait(15) == 0
        assert "data: [DONE]" not in list(lines)


def unready(url: str) -> bool:
    """Whether the server takes nothing new."""
    try:
        return httpx.get(url + "/readyz", timeout=60).status_code == 503
    except httpx.HTTPError:
        return True


def test_a_full_disk(process: Start) -> None:
    """No file may grow, as on a disk that is full: closed by default, and well again with room."""
    server, url = process()
    assert ask(url).status_code == 200
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    got = ask(url)
    assert got.status_code == 503 and got.json()["error"]["code"] == "audit_trail_failed"
    infinity = resource.RLIM_INFINITY
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (infinity, infinity))
    until(lambda: ask(url).status_code == 200)


def test_a_database_whose_file_is_gone(process: Start, tmp_path: Path) -> None:
    for mode, status in (("closed", 503), ("open", 200)):
        file = tmp_path / f"{mode}.sqlite"
        _, url = process(f"sqlite:///{file}", mode)
        assert ask(url).status_code == 200
        away = file.rename(tmp_path / "away")
        assert ask(url).status_code == status
        assert httpx.get(url + "/readyz", timeout=60).status_code == 503
        away.rename(file)
        until(lambda: ask(url).status_code == 200)  # noqa: B023


def test_a_postgresql_that_is_read_only_and_then_gone(
    process: Start, postgres: str, postgres_machine: Postgres
) -> None:
    _, url = process(postgres)
    _, open_url = process(postgres, "open")
    assert ask(url).status_code == ask(open_url).status_code == 200
    admin = Database(postgres)

    def read_only(state: str) -> None:
        with admin.session() as session:
            session.execute(text("SET default_transaction_read_only = off"))
        with admin.session() as session:
            session.execute(text("SET TRANSACTION READ WRITE"))
            session.execute(text(f"ALTER ROLE affekt SET default_transaction_read_only = {state}"))
            # Connections there are take it up when they are made anew.
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            session.execute(text(others + " AND usename = 'affekt'"))

    read_only("on")
    got = ask(url)
    assert got.status_code == 503 and got.json()["error"]["code"] == "audit_trail_failed"
    assert ask(open_url).status_code == 200
    read_only("off")
    until(lambda: ask(url).status_code == 200)
    admin.close()
    postgres_machine.stop()
    try:
        assert ask(url).status_code == 503 and ask(open_url).status_code == 200
        assert httpx.get(url + "/readyz", timeout=60).status_code == 503
    finally:
        postgres_machine.start()
    until(lambda: ask(url).status_code == 200)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_sighup_reads_the_policy_anew(process: Start, tmp_path: Path) -> None:
    server, url = process()

    def threshold() -> float:
        return httpx.get(url + "/v1/emotions", timeout=60).json()["monitors"][0]["threshold"]

    assert threshold() == -1000
    (tmp_path / "policy.yaml").write_text(
        "monitors: [{name: a, what: calm, threshold: 7, action: {do: flag}}]\n"
    )
    os.kill(server.pid, signal.SIGHUP)
    until(lambda: threshold() == 7)
    (tmp_path / "policy.yaml").write_text("monitors: 3")
    os.kill(server.pid, signal.SIGHUP)
    until(lambda: "the policy stays as it was" in (tmp_path / "log").read_text())
    assert threshold() == 7
