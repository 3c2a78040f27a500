"""Bodies that are too long, too slow, too deep or no UTF-8, refused before anything reads them."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from affekt.server.failures import Refused, failure

__all__ = ["BodyLimit"]

DEEPEST = 64
"""Most brackets open at once in a JSON body."""


class BodyLimit:
    """Reads a body once, within a limit, and hands it on."""

    def __init__(self, app: ASGIApp, most: int, seconds: float = 30.0) -> None:
        """Takes the most bytes, and the seconds in which they must have come."""
        self._app, self._most, self._seconds = app, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._read(scope, receive)
        except TimeoutError:
            late = f"the body has not come within {self._seconds:g} seconds"
            await failure(Refused(408, late, "body_too_slow", headers={"Connection": "close"}))(
                scope, receive, send
            )
            return
        except Refused as refused:
            await failure(refused)(scope, receive, send)
            return
        if body is None:
            return
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The body; None when the client left."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._most:
            raise self._too_long()
        parts: list[bytes] = []
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            length += len(parts[-1])
            if length > self._most:
                raise self._too_long()
            more = message.get("more_body", False)
        body = b"".join(parts)
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Refused(400, f"the body is no UTF-8 at byte {error.start}", "invalid_utf8") from None
        if _depth(text) > DEEPEST:
            raise Refused(400, f"the body is nested more than {DEEPEST} deep", "too_deep")
        return body

    def _too_long(self) -> Refused:
        return Refused(
            413,
            f"the body is longer than {self._most:,} bytes",
            "body_too_large",
            headers={"Connection": "close"},
        )


def _depth(text: str) -> int:
    """Most brackets open at once, those in strings left out."""
    depth = most = 0
    quoted = escaped = False
    for sign in text:
        if quoted:
            if escaped:
                escaped = False
            elif sign == "\\":
                escaped = True
            elif sign == '"':
                quoted = False
        elif sign == '"':
            quoted = True
        elif sign in "[{":
            depth += 1
            most = max(most, depth)
        elif sign in "]}":
            depth -= 1
    return most
