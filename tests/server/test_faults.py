"""What clients, engines and disks do wrong, and what the server makes of it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from affekt.server import Settings
from affekt.server.stalled import Stalled
from affekt.server.store import StoreError
from tests.engines.small import CHAT
from tests.server.running import Running, running

LONG = {"messages": CHAT, "max_tokens": 400, "temperature": 0, "logit_bias": None}
ROOT = Path(__file__).parents[2]


def until(condition: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_request"),
        (b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}', 400, "invalid_utf8"),
        (b"[" * 100_000, 400, "too_deep"),
        (b'{"x": "' + b"y" * 1_100_000 + b'"}', 413, "body_too_large"),
        (b'{"messages": ' + b'[{"a":' * 40 + b"1" + b"}]" * 40 + b"}", 400, "too_deep"),
        (b'{"messages": [{"role": "user", "content": "x", "name": "a\\u0000b"}]}', 400, "invalid_request"),
        (b'{"messages": [{"role": "user\\u001b[2J", "content": "x"}]}', 400, "invalid_request"),
        (b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}', 400, "invalid_request"),
        (b'{"messages": [{"role": "user", "content": "x"}], "emotion_bias": {"calm": NaN}}', 400, None),
        (b"null", 400, "invalid_request"),
        (b'"' + b"[" * 200 + b'"', 400, "invalid_request"),
    ],
)
def test_bodies_that_are_no_request(server: Running, body: bytes, status: int, code: str) -> None:
    headers = {"Content-Type": "application/json"}
    got = server.http.post("/v1/chat/completions", content=body, headers=headers)
    assert got.status_code == status
    assert code is None or got.json()["error"]["code"] == code


def test_a_body_of_fifty_megabytes_is_refused_by_its_length(server: Running) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 52428800\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port), timeout=30) as wire:
        wire.sendall(head)
        assert b" 413 " in wire.recv(4096)


def test_a_long_body_without_a_length_is_cut_short(server: Running) -> None:
    def parts() -> Any:
        for _ in range(60):
            yield b"x" * 1_000_000

    try:
        assert server.http.post("/v1/chat/completions", content=parts()).status_code == 413
    except httpx.WriteError:
        pass  # the server hung up before all of it was sent
    assert server.http.get("/healthz").status_code == 200


def test_a_client_that_leaves_ends_its_request(server: Running) -> None:
    for stream in (True, False):
        body = json.dumps({**LONG, "stream": stream}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        before = len(server.service.trail.replies(limit=1000))
        with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port)) as wire:
            wire.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
            until(lambda: server.service.runner.live == 1)
        until(lambda: server.service.runner.live == 0)
        until(lambda: len(server.service.trail.replies(limit=1000)) == before + 1)  # noqa: B023
        last = server.service.trail.replies(limit=1)[0]
        assert last["finish_reason"] == "cancelled" and last["reply_tokens"] < 400


def test_a_full_queue_says_when_to_come_again(tmp_path: Path) -> None:
    with running(tmp_path, Settings(queue=2)) as here:
        codes: list[int] = []

        def ask() -> None:
            with httpx.Client(timeout=60) as client:
                got = client.post(here.url + "/v1/chat/completions", json={**LONG, "max_tokens": 150})
                codes.append(got.status_code)
                if got.status_code == 429:
                    assert int(got.headers["Retry-After"]) >= 1
                    assert got.json()["error"]["code"] == "queue_full"

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes.count(200) >= 2 and codes.count(200) + codes.count(429) == 8 and 429 in codes
        assert len(here.service.trail.replies(limit=100)) == codes.count(200)


def test_ten_thousand_dropped_connections_leave_the_server_well(server: Running) -> None:
    port = httpx.URL(server.url).port
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    half = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n{"
    for number in range(10_000):
        with socket.create_connection(("127.0.0.1", port)) as wire:
            wire.sendall((b"POST /v1/chat", b"", half, b"\x16\x03\x01\x00")[number % 4])
    assert server.chat().status_code == 200
    if before:
        until(lambda: len(os.listdir("/proc/self/fd")) < before + 20)


def test_many_connections_at_once_leave_room(server: Running) -> None:
    port = httpx.URL(server.url).port
    with ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        assert server.chat().status_code == 200


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    with running(tmp_path, Settings(body_seconds=0.3)) as here:
        with socket.create_connection(("127.0.0.1", httpx.URL(here.url).port), timeout=30) as wire:
            wire.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            assert b" 408 " in wire.recv(4096)


def trickle(url: str, over: threading.Event, body: dict[str, Any]) -> bytes:
    """What a client gets that reads one byte a second until `over`, with as little buffer as it can have."""
    data = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n"
    got = b""
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        wire.connect(("127.0.0.1", httpx.URL(url).port))
        wire.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + data)
        while not over.wait(1):
            got += wire.recv(1)
    return got


def test_a_client_that_reads_a_byte_a_second_holds_nobody_up(server: Running) -> None:
    before = len(server.service.trail.replies(limit=1000))
    body = {**LONG, "max_tokens": 300, "stream": True, "emotions": "all"}
    with ThreadPoolExecutor(1) as pool:
        over = threading.Event()
        slow = pool.submit(trickle, server.url, over, body)
        try:
            until(lambda: server.service.runner.live == 1)
            for _ in range(3):
                assert server.chat().status_code == 200
            until(lambda: server.service.runner.live == 0, 120)
        finally:
            over.set()
        assert slow.result() and b"HTTP".startswith(slow.result()[:4])
    # Its reply is written and on record although it has not read it.
    until(lambda: len(server.service.trail.replies(limit=1000)) == before + 4)
    longest = max(server.service.trail.replies(limit=4), key=lambda row: row["reply_tokens"])
    assert longest["reply_tokens"] > 40 and longest["finish_reason"] != "cancelled"


def test_a_client_that_reads_nothing_is_let_go() -> None:
    async def answer(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def stuck(_message: Any) -> None:
        await asyncio.sleep(60)

    with pytest.raises(OSError, match="takes nothing"):
        asyncio.run(Stalled(answer, 0.05)({"type": "http"}, None, stuck))  # type: ignore[arg-type]


def test_a_reply_that_is_not_on_record_is_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: object) -> None:
        raise StoreError("the database fails: disk full")

    for mode, status in (("closed", 503), ("open", 200)):
        with running(tmp_path, Settings(on_store_failure=mode)) as here:
            monkeypatch.setattr(here.service.trail, "record", fails)
            got = here.chat()
            assert got.status_code == status
            if mode == "closed":
                assert got.json()["error"]["code"] == "audit_trail_failed"
                with here.http.stream(
                    "POST", "/v1/chat/completions", json={**LONG, "max_tokens": 3, "stream": True}
                ) as stream:
                    lines = [line for line in stream.iter_lines() if line.startswith("data:")]
                assert "audit_trail_failed" in lines[-1] and "[DONE]" not in lines[-1]
