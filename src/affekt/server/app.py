"""The application: routes, limits, failures, shutdown."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

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
from affekt.server.failures import ANSWERS, install
from affekt.server.logs import Logged
from affekt.server.service import Service
from affekt.server.stalled import Stalled
from affekt.server.store import StoreError
from affekt.version import __version__

__all__ = ["create_app"]

log = logging.getLogger("affekt.server")
HOUR = 3600.0


def create_app(service: Service) -> FastAPI:
    """The server of a service. SIGHUP, where a main thread runs it, reads the policy anew."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        loop = service.loop = asyncio.get_running_loop()
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
        app.include_router(part.router, responses=ANSWERS)

    app.add_middleware(BodyLimit, most=service.settings.max_body, seconds=service.settings.body_seconds)
    if service.settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(service.settings.cors),
            allow_methods=["*"],
            allow_headers=["*"],
        )
    app.add_middleware(Stalled, seconds=service.settings.timeout)
    app.add_middleware(Logged, meters=service.meters)
    return app


async def _prune(service: Service) -> None:
    """Once an hour forgets what is older than is kept."""
    while True:
        try:
            await asyncio.to_thread(service.trail.prune)
        except StoreError as error:
            log.error("old replies are not deleted: %s", error)
        await asyncio.sleep(HOUR)
