"""A request answered: its pieces as they come, each reply on record before it is told of.

The work is a task of the service and not of the connection: a client that leaves ends its request, and what
was written until then is recorded all the same."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from affekt.concepts.text import plain
from affekt.engines.engine import Reply, Request, Token
from affekt.server.access import Caller
from affekt.server.emotions_asked import Asked
from affekt.server.failures import Refused
from affekt.server.runner import Stream
from affekt.server.service import Service
from affekt.server.spans import span
from affekt.server.store import StoreError, Summary

__all__ = ["Answer"]

log = logging.getLogger("affekt.server")


class Answer:
    """One request to the engine, from its admission to its last reply."""

    def __init__(
        self, service: Service, caller: Caller, request: Request, asked: Asked | None, id: str
    ) -> None:
        """Hands the request in; raises Busy, Draining."""
        self._service, self._caller, self._request, self._asked = service, caller, request, asked
        self.id = id
        self._began = time.monotonic()
        self._seen = False
        self._out: asyncio.Queue[Token | Reply | BaseException | None] = asyncio.Queue()
        self._stream: Stream = service.runner.submit(request, id)
        service.keep(self._run())

    async def pieces(self) -> AsyncGenerator[Token | Reply, None]:
        """Tokens and replies; leaving early ends the request.

        Raises:
            AffektError: the request is wrong, the engine failed, or a reply could not be recorded.
        """
        try:
            while (piece := await self._out.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            self._stream.cancel()

    def cancel(self) -> None:
        """Ends the request where it is."""
        self._stream.cancel()

    def readings(self, reply: Reply) -> dict[str, dict[str, Any]]:
        """What was asked for, summed up over a reply."""
        return self._asked.summary(reply) if self._asked else {}

    def said(self, token: Token) -> dict[str, float]:
        """What was asked for, at a token."""
        return self._asked.told(token.reading) if self._asked and token.reading is not None else {}

    async def _run(self) -> None:
        timer = asyncio.get_running_loop().call_later(self._service.settings.timeout, self._stream.cancel)
        try:
            async for piece in self._stream:
                if isinstance(piece, Reply):
                    await self._record(piece)
                elif not self._seen:
                    self._seen = True
                    self._service.meters.first.observe(time.monotonic() - self._began)
                self._out.put_nowait(piece)
        except BaseException as error:
            self._stream.cancel()
            self._out.put_nowait(error)
            if not isinstance(error, Exception):
                raise
        finally:
            timer.cancel()
            self._out.put_nowait(None)

    async def _record(self, reply: Reply) -> None:
        service, events = self._service, [event.to_dict() for event in reply.events]
        readings = self.readings(reply)
        summary = Summary(
            request=reply.request,
            choice=reply.choice,
            model=service.name,
            key=self._caller.key,
            prompt_tokens=reply.prompt_tokens,
            reply_tokens=len(reply.tokens),
            finish_reason=reply.finish_reason,
            flagged=reply.flagged,
            seconds=time.monotonic() - self._began,
            bias=_mapping(self._request.bias),
            readings=readings,
        )
        try:
            prompt = plain(self._request.source) if not hasattr(self._request.source, "ids") else ""
            await asyncio.to_thread(service.trail.record, summary, events, prompt, reply.text)
        except StoreError as error:
            log.error("a reply is not on record: %s", error, extra={"event": "store"})
            if service.settings.on_store_failure == "closed":
                message = "the audit trail cannot be written, and this server gives no reply without it"
                raise Refused(503, message, "audit_trail_failed") from error
        service.access.spend(self._caller, len(reply.tokens))
        self._count(reply, events, readings)
        span(service.name, self._request, reply, summary.seconds)

    def _count(
        self, reply: Reply, events: list[dict[str, Any]], readings: Mapping[str, Mapping[str, Any]]
    ) -> None:
        meters = self._service.meters
        meters.tokens.labels("prompt").inc(reply.prompt_tokens if reply.choice == 0 else 0)
        meters.tokens.labels("reply").inc(len(reply.tokens))
        for event in events:
            meters.trips.labels(event["monitor"], event["action"]).inc()
            self._service.feed.tell(event)
        meters.reading({name: figures["max"] for name, figures in readings.items()})


def _mapping(bias: Any) -> Mapping[str, Any]:
    return bias if isinstance(bias, Mapping) else {}
