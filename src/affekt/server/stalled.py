"""A client that takes nothing of its answer for too long is let go, with what the server keeps for it."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Stalled"]


class Stalled:
    """Bounds how long one piece of an answer waits for the client to take what came before it."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def bounded(message: Message) -> None:
            try:
                async with asyncio.timeout(self._seconds):
                    await send(message)
            except TimeoutError:
                raise OSError("the client takes nothing of its answer") from None

        await self._app(scope, receive, bounded if scope["type"] == "http" else send)
