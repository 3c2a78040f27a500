"""Events to those who listen, up to the server's end and not beyond."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from affekt.server.feed import Feed


def heard(feed: Feed, then: Any = lambda: None) -> list[Mapping[str, Any] | None]:
    """What a listener hears that comes now, in its first seconds; `then` is called once it listens."""

    async def listen() -> list[Mapping[str, Any] | None]:
        found = []
        asyncio.get_running_loop().call_later(0.05, then)
        async with asyncio.timeout(5), aclosing(feed.listen(1.0)) as events:
            async for event in events:
                found.append(event)
        return found

    return asyncio.run(listen())


def test_a_listener_hears_what_was_told_before_the_end() -> None:
    feed = Feed()

    def told_and_ended() -> None:
        feed.tell({"monitor": "panic"})
        feed.end()
        feed.tell({"monitor": "late"})

    assert heard(feed, told_and_ended)[:1] == [{"monitor": "panic"}]


def test_who_comes_after_the_end_is_not_kept_waiting() -> None:
    feed = Feed()
    feed.end()
    assert heard(feed) == []
