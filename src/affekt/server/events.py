"""`/v1/events`: what the guard did, looked up and as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from affekt.server.access import Caller, caller
from affekt.server.service import Service
from affekt.server.sse import line
from affekt.server.store import Filter

__all__ = ["router"]

router = APIRouter()
Known = Annotated[Caller, Depends(caller)]

QUIET = 15.0
"""Seconds after which a live stream says that it is still there."""


@router.get("/v1/events")
async def look_up(
    request: Request,
    by: Known,
    monitor: Annotated[str | None, Query(max_length=256)] = None,
    concept: Annotated[str | None, Query(max_length=256)] = None,
    action: Annotated[str | None, Query(max_length=64)] = None,
    request_id: Annotated[str | None, Query(max_length=80)] = None,
    since: datetime | None = None,
    until: datetime | None = None,
    above: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    below: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    after: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Events, the oldest first. A key sees its own."""
    service: Service = request.app.state.service
    wanted = Filter(
        monitor=_clean(monitor),
        concept=_clean(concept),
        action=_clean(action),
        key=by.key,
        request=_clean(request_id),
        since=_zoned(since),
        until=_zoned(until),
        above=above,
        below=below,
        after=after,
        limit=limit,
    )
    found = await asyncio.to_thread(lambda: list(service.trail.events(wanted)))
    return {"object": "list", "data": found}


@router.get("/v1/events/stream")
async def live(request: Request, by: Known) -> StreamingResponse:
    """Events from now on, as server-sent events. A key sees its own."""
    service: Service = request.app.state.service

    async def body() -> AsyncIterator[bytes]:
        yield b": listening\n\n"
        async with aclosing(service.feed.listen(QUIET)) as events:
            async for event in events:
                if event is None:
                    yield b": still here\n\n"
                elif by.key is None or event.get("key") == by.key:
                    yield line(event)

    return StreamingResponse(body(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


def _clean(text: str | None) -> str | None:
    """No NUL, which PostgreSQL does not take."""
    return None if text is None else text.replace("\x00", "\ufffd")


def _zoned(time: datetime | None) -> datetime | None:
    """A time without a zone is local; one that no clock shows is left as it is."""
    try:
        return None if time is None else time.astimezone()
    except (OverflowError, ValueError, OSError):
        return None
