"""The page at `/`, and its files: all from this process, none from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from plotly.offline import get_plotlyjs

from affekt.server.failures import Refused

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@router.get("/")
async def page() -> Response:
    """The dashboard."""
    return _file("page.html")


@router.get("/dashboard/plotly.js")
async def plotly() -> Response:
    """The plotting library, from its Python package."""
    return Response(get_plotlyjs(), media_type="text/javascript", headers={"Cache-Control": "max-age=86400"})


@router.get("/dashboard/{name}")
async def part(name: str) -> Response:
    """A script or a style sheet of the page."""
    return _file(name)


def _file(name: str) -> Response:
    found: Any = {each.name: each for each in files("affekt.server").joinpath("page").iterdir()}.get(name)
    kind = KINDS.get("." + name.rpartition(".")[2])
    if found is None or kind is None:
        raise Refused(404, f"no file {name!r}", "not_found")
    return Response(
        found.read_bytes(),
        media_type=kind,
        headers={
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-cache",
        },
    )
