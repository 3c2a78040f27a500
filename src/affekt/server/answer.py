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
from affekt.engines.engine import Reply, Request
from affekt.engines.token import Token
from affekt.server.access import Caller
from affekt.server.emotions_asked import Asked
from affekt.server.failures import Refused
from affekt.server.overseeing import Overseen, heat
from affekt.server.runner import Stream
from affekt.server.service import Service
from affekt.server.spans import failed, span
from affekt.server.store import StoreError, Summary

__all__ = ["Answer"]

log = logging.getLogger("affekt.server")


class Answer:
    """One request to the engine, from its admission to its last reply."""

    def __init__(
        self,
        service: Service,
        caller: Caller,
        request: Request,
        asked: Asked | None,
        id: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Hands the request in; the headers say which trace it is part of. Raises Busy, Draining."""
        self._service, self._caller, self._request, self._asked = service, caller, request, asked
        self.id = id
        self._began, self._headers = time.monotonic(), headers or {}
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
        service = self._service
        timer = asyncio.get_running_loop().call_later(service.settings.timeout, self._stream.cancel)
        try:
            async for piece in self._stream:
                if isinstance(piece, Reply):
                    await self._record(piece)
                elif not self._seen:
                    self._seen = True
                    service.meters.first.observe(time.monotonic() - self._began)
                self._out.put_nowait(piece)
        except BaseException as error:
            failed(service.name, self._request, self.id, error, time.monotonic() - self._began, self._headers)
            self._stream.cancel()
            self._out.put_nowait(error)
            if not isinstance(error, Exception):
                raise
        finally:
            timer.cancel()
            self._out.put_nowait(None)

    async def _record(self, reply: Reply) -> None:
        service, guard = self._service, self._request.guard
        events = [event.to_dict() for event in reply.events]
        worst: dict[str, float] = {}
        if isinstance(guard, Overseen):
            worst, seen = guard.extremes(reply.choice), guard.seen(reply.choice)
            for event in events:
                event |= {"concepts": guard.watched(event["monitor"]), "heat": heat(event, seen)}
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
            told = await asyncio.to_thread(service.trail.record, summary, events, prompt, reply.text)
        except StoreError as error:
            log.error("a reply is not on record: %s", error)
            if service.settings.on_store_failure == "closed":
                message = "the audit trail cannot be written, and this server gives no reply without it"
                raise Refused(503, message, "audit_trail_failed") from error
            told = []
        service.access.spend(self._caller, len(reply.tokens))
        service.meters.reply(reply, events, worst, service.floor.watched)
        for event in told:
            service.feed.tell(event)
        span(service.name, self._request, reply, summary.seconds, self._headers)


def _mapping(bias: Any) -> Mapping[str, Any]:
    return bias if isinstance(bias, Mapping) else {}
