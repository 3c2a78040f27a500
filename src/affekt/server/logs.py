"""A line of JSON for each request, without a word of what was asked; and what fails unforeseen."""

from __future__ import annotations

import json
import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from affekt.server.failures import failure
from affekt.server.meters import Meters

__all__ = ["Logged"]

log = logging.getLogger("affekt.server")


class Logged:
    """Counts and logs requests by route and status."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, told)
        except Exception as error:
            log.exception("a request failed")
            if not status:
                await failure(error)(scope, receive, told)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._meters.requests.labels(route, status).inc()
            line = {"event": "request", "method": scope["method"], "route": route, "status": status}
            log.info(json.dumps({**line, "seconds": round(time.monotonic() - began, 4)}))
