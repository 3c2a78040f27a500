"""Lines of JSON for the log: one for each request, without a word of what was asked, and what fails."""

from __future__ import annotations

import json
import logging
import secrets
import time
from datetime import UTC, datetime

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from affekt.server.failures import failure
from affekt.server.meters import Meters

__all__ = ["JsonLines", "Logged"]

log = logging.getLogger("affekt.server")


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, message, and its `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


class Logged:
    """Counts and logs requests by route and status; each has an id, which its answer's headers tell."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, id = time.monotonic(), 0, "req-" + secrets.token_hex(8)

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = id
            await send(message)

        try:
            await self._app(scope, receive, told)
        except Exception as error:
            log.exception("a request failed", extra={"fields": {"id": id}})
            if not status:
                await failure(error)(scope, receive, told)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._meters.requests.labels(route, status).inc()
            fields = {"id": id, "method": scope["method"], "route": route, "status": status}
            fields["key"] = scope.get("state", {}).get("key")
            fields["seconds"] = round(time.monotonic() - began, 4)
            log.info("request", extra={"fields": fields})
