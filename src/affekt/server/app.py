"""The application: routes, limits, failures, shutdown."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import Response

from affekt.server import (
    catalogue,
    causes,
    chat,
    completions,
    dashboard,
    events,
    moderating,
    operations,
    scoring,
)
from affekt.server.body import BodyLimit
from affekt.server.failures import failure, install
from affekt.server.service import Service
from affekt.server.store import StoreError
from affekt.version import __version__

__all__ = ["create_app"]

log = logging.getLogger("affekt.server")
HOUR = 3600.0


def create_app(service: Service) -> FastAPI:
    """The server of a service. SIGHUP, where a main thread runs it, reads the policy anew."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError, RuntimeError, ValueError, AttributeError):
            loop.add_signal_handler(signal.SIGHUP, service.floor.reload)
        pruning = asyncio.create_task(_prune(service))
        yield
        pruning.cancel()
        await service.close()

    app = FastAPI(title="Affekt", version=__version__, lifespan=lifespan)
    app.state.service = service
    install(app)
    for part in (
        *(chat, completions, catalogue, scoring, causes, events),
        *(moderating, operations, dashboard),
    ):
        app.include_router(part.router)

    @app.middleware("http")
    async def _logged(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        began = time.monotonic()
        try:
            response = await call(request)
        except Exception as error:
            log.exception("a request failed", extra={"event": "failure", "path": request.url.path})
            response = failure(error)
        route = getattr(request.scope.get("route"), "path", "none")
        service.meters.requests.labels(route, response.status_code).inc()
        line = {
            "event": "request",
            "method": request.method,
            "path": route,
            "status": response.status_code,
            "seconds": round(time.monotonic() - began, 4),
        }
        log.info(json.dumps(line))
        return response

    app.add_middleware(BodyLimit, most=service.settings.max_body)
    if service.settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(service.settings.cors),
            allow_methods=["*"],
            allow_headers=["*"],
        )
    return app


async def _prune(service: Service) -> None:
    """Once an hour forgets what is older than is kept."""
    while True:
        try:
            await asyncio.to_thread(service.trail.prune)
        except StoreError as error:
            log.error("old replies are not deleted: %s", error)
        await asyncio.sleep(HOUR)
