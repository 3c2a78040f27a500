"""`/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from affekt.server.service import Service
from affekt.server.store import StoreError

__all__ = ["router"]

router = APIRouter()


@router.get("/healthz")
async def healthz(request: Request) -> JSONResponse:
    """Whether the process does its work at all."""
    service: Service = request.app.state.service
    alive = service.runner.alive
    return JSONResponse({"status": "ok" if alive else "the engine has stopped"}, 200 if alive else 503)


@router.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """Whether new requests are welcome: the engine runs, the database answers, no shutdown."""
    service: Service = request.app.state.service
    if service.runner.draining or not service.runner.alive:
        return JSONResponse({"status": "shutting down"}, 503)
    try:
        await asyncio.to_thread(service.trail.database.ping)
    except StoreError as error:
        return JSONResponse({"status": str(error)}, 503)
    return JSONResponse({"status": "ready"})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Counts for Prometheus."""
    service: Service = request.app.state.service
    return Response(service.meters.text(), media_type="text/plain; version=0.0.4")
