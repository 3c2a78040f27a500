"""A reply that is given whole, ended when nobody waits for it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response

__all__ = ["until_gone"]

LOOK = 0.25
"""Seconds between two looks at whether the client is still there."""


async def until_gone(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """The work's answer; a client that leaves ends the work."""
    task = asyncio.ensure_future(work)
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=LOOK)
            if done:
                return task.result()
            if await request.is_disconnected():
                return Response(status_code=499)
    finally:
        task.cancel()
