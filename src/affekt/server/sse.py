"""A stream of server-sent events whose first piece is awaited, so that an early failure has its status."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from pydantic_core import to_json

from affekt.server.failures import failure

__all__ = ["events", "line"]

DONE = b"data: [DONE]\n\n"


def line(piece: Mapping[str, Any]) -> bytes:
    """One event."""
    try:
        said = to_json(piece, inf_nan_mode="null")
    except ValueError:
        # Half a surrogate pair, which is no UTF-8.
        said = json.dumps(piece, ensure_ascii=False).encode("utf-8", "replace")
    return b"data: " + said + b"\n\n"


async def events(request: Request, chunks: AsyncIterator[Mapping[str, Any]]) -> Response:
    """The answer that streams these chunks; an error in mid-stream is its last event.

    Raises:
        AffektError: what fails before the first chunk.
    """
    try:
        first = await anext(chunks)
    except StopAsyncIteration:
        return StreamingResponse(iter([DONE]), media_type="text/event-stream")

    async def body() -> AsyncIterator[bytes]:
        try:
            yield line(first)
            async for chunk in chunks:
                if await request.is_disconnected():
                    return
                yield line(chunk)
            yield DONE
        except Exception as error:
            yield b"data: " + bytes(failure(error).body) + b"\n\n"
        finally:
            # A client that has left ends its request at once.
            if close := getattr(chunks, "aclose", None):
                await close()

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(body(), media_type="text/event-stream", headers=headers)
