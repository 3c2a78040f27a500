"""`vllm serve` with `emotion_bias` and `emotions`: `--middleware affekt.server.vllm_middleware.Middleware`.

It goes with Affekt's worker and its settings, see docs/vllm.md. Requests without Affekt's fields pass as they
are. With them, those to a path that this does not serve are refused: they would be answered unsteered."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, TypeAlias

from affekt.engines.vllm.channel import Inbox
from affekt.engines.vllm.fitting import reading_ends
from affekt.engines.vllm.listening import Listener
from affekt.engines.vllm.order import FIELD
from affekt.errors import AffektError, PromptError
from affekt.server.vllm_asking import Desk, Watched, failure

__all__ = ["Middleware"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

PATHS = {"/v1/chat/completions": True, "/v1/completions": False}
"""Which are chats."""

FIELDS = ("emotion_bias", "emotions", FIELD)
"""What a body that concerns Affekt holds, the last one among `vllm_xargs`."""

EXTRA = ("vllm_xargs", "extra_args")
"""What vLLM calls a request's extra arguments, at its many paths."""

WAIT = 10.0
"""Seconds that a reading may come after the reply is whole."""


class Middleware:
    """Turns Affekt's fields into what vLLM's workers are told, and puts readings into the response."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._desk: Desk | None = None
        self._listener: Listener | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers a request as an ASGI application."""
        if scope["type"] != "http" or scope.get("method") != "POST":
            await self._app(scope, receive, send)
            return
        raw = await _whole(receive)
        if scope["path"] not in PATHS and _elsewhere(raw):
            told = f"emotion_bias, emotions and vllm_xargs.{FIELD} are for {' and '.join(PATHS)} only"
            await _answer(send, 400, failure(PromptError(told)))
            return
        if scope["path"] not in PATHS or not _concerns(raw):
            await self._app(scope, _again(raw, receive), send)
            return
        try:
            body = json.loads(raw)
            if not isinstance(body, dict):
                raise PromptError(f"the body must be a JSON object, not {type(body).__name__}")
            desk, listener = self._opened(scope["app"].state)
            body, watched = desk.prepared(body, PATHS[scope["path"]])
        except (ValueError, RecursionError) as error:
            known = error if isinstance(error, AffektError) else AffektError(f"the body is no JSON: {error}")
            await _answer(send, 400, failure(known))
            return
        except AffektError as error:
            await _answer(send, 400, failure(error))
            return
        raw = json.dumps(body).encode()
        scope = {**scope, "headers": _sized(scope["headers"], len(raw))}
        if watched is None:
            await self._app(scope, _again(raw, receive), send)
            return
        try:
            tell = _Telling(listener, desk, watched, send)
            await self._app(scope, _again(raw, receive), tell.send)
        finally:
            listener.leave(watched.key)

    def _opened(self, state: Any) -> tuple[Desk, Listener]:
        if self._desk is not None and self._listener is not None:
            return self._desk, self._listener
        config = state.engine_client.vllm_config
        vectors, channel = reading_ends(config, "vLLM", "start it as docs/vllm.md says")
        self._listener = Listener(Inbox(channel))
        self._desk = Desk(Path(vectors))
        return self._desk, self._listener


class _Telling:
    """Sends vLLM's response on, with readings in it."""

    def __init__(self, listener: Listener, desk: Desk, watched: Watched, send: Send) -> None:
        self._listener, self._desk, self._watched, self._send = listener, desk, watched, send
        self._heard = listener.listen(watched.key)
        self._start: Message | None = None
        self._streams = False
        self._held = b""
        self._prompt, self._written, self._told = 0, 0, 0

    async def send(self, message: Message) -> None:
        """An ASGI `send`."""
        if message["type"] == "http.response.start":
            headers = {name.lower(): value for name, value in message["headers"]}
            self._streams = b"event-stream" in headers.get(b"content-type", b"")
            self._start = message
            if self._streams:
                await self._send(message)
            return
        self._held += message.get("body", b"")
        more = message.get("more_body", False)
        if self._streams:
            lines, cut, rest = self._held.rpartition(b"\n\n")
            self._held = rest if more else b""
            whole = lines + cut if more else lines + cut + rest
            out = b"".join([await self._line(line) async for line in _lines(whole)])
            await self._send({"type": "http.response.body", "body": out, "more_body": more})
        elif not more:
            await self._finish()

    async def _finish(self) -> None:
        assert self._start is not None
        body = self._held
        if self._start["status"] == 200:
            told = json.loads(body)
            await self._into(told, last=True)
            body = json.dumps(told).encode()
        headers = _sized(self._start["headers"], len(body))
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def _line(self, line: bytes) -> bytes:
        data = line.strip().removeprefix(b"data: ")
        if not line.startswith(b"data: ") or data == b"[DONE]":
            return line
        told = json.loads(data)
        choices = told.get("choices") or []
        await self._into(told, last=any(choice.get("finish_reason") for choice in choices))
        return b"data: " + json.dumps(told).encode() + b"\n\n"

    async def _into(self, told: dict[str, Any], last: bool) -> None:
        """Puts the readings that are there into a response or a chunk of it."""
        for choice in told.get("choices") or []:
            for place in (told, choice):
                self._prompt = len(place.get("prompt_token_ids") or ()) or self._prompt
            self._written += len(choice.get("token_ids") or ())
            if last:
                await self._listener.wait(self._heard, self._places, WAIT)
            self._listener.hear()
            entries = self._desk.told(self._watched, self._heard, self._prompt, self._told, self._written)
            if entries:
                self._told = entries[-1]["index"] + 1
            if entries or last:
                choice["affekt"] = self._field(entries, last)
            if self._watched.strips:
                choice.pop("token_ids", None)
                choice.pop("prompt_token_ids", None)
        if self._watched.strips:
            told.pop("prompt_token_ids", None)

    def _field(self, entries: list[dict[str, Any]], last: bool) -> dict[str, Any]:
        field: dict[str, Any] = {"tokens": entries}
        if self._heard.refused:
            field["error"] = self._heard.refused
        missing = [at - self._prompt for at in self._heard.missing(self._places)] if last else []
        if missing:
            field["missing"] = missing
        return field

    @property
    def _places(self) -> range:
        """Positions that are read. The last token's own forward never runs: vLLM ends the row when it is
        chosen."""
        return range(self._prompt, self._prompt + self._written - 1)


def _concerns(raw: bytes) -> bool:
    """Whether a body may hold a field of Affekt's, whose name may be spelt with escapes or in UTF-16. An
    order that came to a worker past the desk would steer without limits, and without a salt for the prefix
    cache."""
    if any(f'"{name}"'.encode() in raw for name in FIELDS):
        return True
    if not _hides(raw):
        return False
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return False  # vLLM refuses it
    if not isinstance(body, dict):
        return False
    xargs = body.get("vllm_xargs")
    return any(name in body or (isinstance(xargs, dict) and name in xargs) for name in FIELDS)


def _elsewhere(raw: bytes) -> bool:
    """Whether a body of any other path holds a field of Affekt's, or an order for a worker at any depth."""
    if not _hides(raw) and not any(name.encode() in raw for name in FIELDS):
        return False
    try:
        body = json.loads(raw)
    except RecursionError:
        return False  # vLLM refuses it
    except ValueError:
        # A form, whose field is JSON in a text.
        plain = raw.replace(b"\0", b"")
        return any(name.encode() in plain for name in EXTRA) and (FIELD.encode() in plain or _hides(plain))
    if isinstance(body, dict) and any(name in body for name in FIELDS):
        return True
    left = [body]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if any(isinstance(value.get(name), dict) and FIELD in value[name] for name in EXTRA):
                return True
            left += value.values()
        elif isinstance(value, list):
            left += value
    return False


def _hides(raw: bytes) -> bool:
    """Whether its letters may be spelt otherwise than as themselves."""
    return b"\\u" in raw or b"\0" in raw


async def _lines(data: bytes) -> AsyncIterator[bytes]:
    for line in data.split(b"\n\n"):
        if line:
            yield line + b"\n\n"


async def _whole(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(raw: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once, then what comes of the connection."""
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": raw, "more_body": False}

    return once


async def _answer(send: Send, status: int, told: dict[str, Any]) -> None:
    body = json.dumps(told).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _sized(headers: Any, length: int) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    return [*kept, (b"content-length", str(length).encode())]
