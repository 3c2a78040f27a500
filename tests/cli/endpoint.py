"""An OpenAI-compatible endpoint on loopback that writes stories, and fails as it is told to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

from tests.concepts.writing.scripted import words


class Endpoint(ThreadingHTTPServer):
    """Answers `fail[number]` (a status) on the calls counted from 1, else stories; takes the longest reply
    under one name only."""

    daemon_threads = True

    def __init__(self, fail: dict[int, int], key: str, limit: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fail, self.key, self.limit, self.asked, self.lock = fail, key, limit, 0, Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_GET(self) -> None:
        self.answer(200, {"object": "list", "data": [{"id": "big-writer", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {self.server.key}":
            return self.answer(401, {"error": {"message": "wrong key"}})
        with self.server.lock:
            self.server.asked += 1
            number = self.server.asked
        if self.server.limit not in body:
            return self.answer(400, {"error": {"message": f"use '{self.server.limit}' instead"}})
        if number in self.server.fail:
            return self.answer(self.server.fail[number], {"error": {"message": "not now"}})
        asked = re.search(r"Write (\d+)", body["messages"][0]["content"])
        assert asked is not None and body["model"] == "big-writer"
        stories = [words(70, f"{number} {i}") for i in range(int(asked.group(1)))]
        text = "Here you are:\n```json\n" + json.dumps({"texts": stories})[: -1 if number % 2 else None]
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        about = {"id": "x", "object": "chat.completion", "created": 0, "model": "big-writer"}
        return self.answer(200, {**about, "choices": [choice]})

    def answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 429:
            self.send_header("Retry-After", "0")
            self.send_header("retry-after-ms", "10")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def endpoint(
    fail: dict[int, int] | None = None, key: str = "secret", limit: str = "max_tokens"
) -> Iterator[Endpoint]:
    """The endpoint, serving."""
    server = Endpoint(fail or {}, key, limit)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
