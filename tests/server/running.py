"""A server on a free port, over a tiny random model with vectors."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from affekt.server import Service, Serving, Settings
from tests.engines.small import engine

__all__ = ["Running", "running"]


class Running:
    """A server that runs."""

    def __init__(self, service: Service, port: int) -> None:
        self.service, self.url = service, f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def chat(self, text: str = "Hello", **fields: Any) -> httpx.Response:
        messages = [{"role": "user", "content": text}]
        return self.http.post(
            "/v1/chat/completions", json={"messages": messages, "max_tokens": 8, "temperature": 0, **fields}
        )


@contextmanager
def running(
    folder: Path, settings: Settings | None = None, database: str | None = None, **options: Any
) -> Iterator[Running]:
    database = database or f"sqlite:///{folder / 'trail.sqlite'}"
    service = Service.of(engine(), settings, database=database, **options)
    server = Serving(service, port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive() and time.monotonic() < until, "the server did not start"
        time.sleep(0.02)
    here = Running(service, server.servers[0].sockets[0].getsockname()[1])
    try:
        yield here
    finally:
        here.http.close()
        server.should_exit = True
        thread.join()
