"""Every failure as the OpenAI API tells it: a status and `{"error": {message, type, param, code}}`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from affekt.errors import AffektError, BiasError, PolicyError, PromptError, UnknownConcept
from affekt.server.runner import Busy, Draining

__all__ = ["ANSWERS", "Refused", "failure", "install"]

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}


class Told(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class Failure(BaseModel):
    """Every answer that is no success."""

    error: Told


ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"model": Failure} for status in (400, 401, 403, 404, 405, 408, 413, 429, 500, 503)
}
"""The statuses of failures, for the OpenAPI document."""


class Refused(AffektError):
    """A request that is refused with a status of its own."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.headers = status, code, param, dict(headers or {})


def failure(error: BaseException) -> JSONResponse:
    """The answer to an error."""
    if isinstance(error, Refused):
        return _told(error.status, str(error), error.code, error.param, error.headers)
    if isinstance(error, Busy):
        return _told(429, str(error), "queue_full", headers={"Retry-After": "1"})
    if isinstance(error, Draining):
        return _told(503, str(error), "shutting_down", headers={"Retry-After": "5"})
    if isinstance(error, UnknownConcept):
        return _told(400, str(error), "unknown_concept", "emotion_bias/emotions")
    for kind, code, param in (
        (BiasError, "invalid_emotion_bias", "emotion_bias"),
        (PolicyError, "invalid_policy", "policy"),
        (PromptError, "invalid_prompt", "messages"),
    ):
        if isinstance(error, kind):
            return _told(400, str(error), code, param)
    if isinstance(error, AffektError):
        return _told(500, str(error), "engine_error")
    return _told(500, "an internal error; the server's log has it", "internal_error")


def install(app: FastAPI) -> None:
    """Makes an app answer so."""

    @app.exception_handler(AffektError)
    async def _ours(_request: Request, error: AffektError) -> JSONResponse:
        return failure(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first: Mapping[str, Any] = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "body")
        message = f"{place}: {first['msg']}" if place else str(first["msg"])
        return _told(400, message, "invalid_request", place or None)

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        return _told(error.status_code, str(error.detail), None, headers=error.headers)


def _told(
    status: int,
    message: str,
    code: str | None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    kind = KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return JSONResponse(body, status, {key: _header(value) for key, value in (headers or {}).items()})


def _header(value: str | float) -> str:
    return str(math.ceil(value)) if isinstance(value, float) else value
