"""Events as they are committed, to everyone who listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["Feed"]

BACKLOG = 1000
"""Events kept for a listener that is slow; older ones are dropped, since the trail has them."""


class Feed:
    """Hands events to listeners; nobody waits for a slow one."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[Mapping[str, Any] | None]] = set()
        self._ended = False

    def end(self) -> None:
        """Ends every listener's stream, and that of whoever comes later at once."""
        self._ended = True
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    def tell(self, event: Mapping[str, Any]) -> None:
        """Gives an event to all who listen."""
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

    @contextmanager
    def _listening(self) -> Iterator[asyncio.Queue[Mapping[str, Any] | None]]:
        queue: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue(BACKLOG)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    async def listen(self, quiet: float) -> AsyncGenerator[Mapping[str, Any] | None, None]:
        """Events from now on, up to the server's end; None after each `quiet` seconds without one."""
        with self._listening() as queue:
            while not self._ended or not queue.empty():
                try:
                    event = await asyncio.wait_for(queue.get(), quiet)
                except TimeoutError:
                    yield None
                    continue
                if event is None:
                    return
                yield event
