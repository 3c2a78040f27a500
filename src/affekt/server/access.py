"""Who calls, and how much they may: keys, limits on the dial, rates."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import Request

from affekt.server.failures import Refused
from affekt.server.settings import Settings
from affekt.server.store import Keys, Limits

__all__ = ["Access", "Caller", "Dial", "caller", "caller_by_x_api_key"]

WINDOW = 60.0
FRESH = 2.0
"""Seconds that a verified key is believed without asking the database, and a revoked one may still live."""
ELSEWHERE = ("x-api-key", "api-key", "x-auth-token")


@dataclass(frozen=True)
class Caller:
    """Who sent a request."""

    key: str | None
    """Name of the key; None on an open server."""
    limits: Limits
    """What the key may do."""


@dataclass(frozen=True)
class Dial:
    """How much a caller may steer."""

    most: float
    """Largest dial of a concept, either way; 0 forbids `emotion_bias`."""
    raw: bool
    """Whether doses and the full form of a bias may be given beside the dial."""


@dataclass
class _Spent:
    requests: deque[float] = field(default_factory=deque)
    tokens: deque[tuple[float, int]] = field(default_factory=deque)


class Access:
    """Checks keys and rates. A server without keys is open, so it listens to its own machine only."""

    def __init__(self, keys: Keys, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.keys, self._settings, self._clock = keys, settings, clock
        self._spent: dict[str, _Spent] = defaultdict(_Spent)
        self._known: dict[str, tuple[float, Caller]] = {}
        self._closed: tuple[float, bool] = (-FRESH, False)

    async def caller(self, request: Request, elsewhere: str | None = None) -> Caller:
        """Who sent a request.

        Args:
            request: the request.
            elsewhere: another header in which the key may stand, for clients that know no other.

        Raises:
            Refused: 401 without a valid key where keys are needed, and for a key in the wrong place.
            StoreError: the database fails.
        """
        if {"api_key", "key", "token"} & set(request.query_params):
            message = "a key in the URL ends up in logs; send it as: Authorization: Bearer KEY"
            raise Refused(401, message, "key_in_url")
        for name in ELSEWHERE:
            if name != elsewhere and name in request.headers and "authorization" not in request.headers:
                message = f"the key belongs in the header Authorization: Bearer KEY, not in {name}"
                raise Refused(401, message, "key_in_wrong_header")
        if not await self._needed():
            return Caller(None, Limits())
        said = request.headers.get("authorization", "")
        if elsewhere is not None and not said and elsewhere in request.headers:
            said = f"Bearer {request.headers[elsewhere]}"
        scheme, _, secret = said.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            message = "this server needs a key; send it as: Authorization: Bearer KEY"
            raise Refused(401, message, "missing_key", headers={"WWW-Authenticate": "Bearer"})
        return await self._verified(secret.strip())

    def dial(self, caller: Caller) -> Dial:
        """How much a caller may steer. A key with a cap of its own gives no raw doses, which no cap holds."""
        own, settings = caller.limits.max_dial, self._settings
        if own is None:
            return Dial(settings.max_dial, settings.raw_doses)
        return Dial(min(own, settings.max_dial), False)

    def admit(self, caller: Caller) -> None:
        """Counts a request; raises Refused (429) beyond the key's rates."""
        if caller.key is None:
            return
        spent, now = self._spent[caller.key], self._clock()
        while spent.requests and spent.requests[0] <= now - WINDOW:
            spent.requests.popleft()
        while spent.tokens and spent.tokens[0][0] <= now - WINDOW:
            spent.tokens.popleft()
        most = caller.limits.requests_per_minute
        if most is not None and len(spent.requests) >= most:
            raise _limited("requests", most, spent.requests[0] + WINDOW - now)
        most = caller.limits.tokens_per_minute
        if most is not None and sum(count for _, count in spent.tokens) >= most:
            raise _limited("tokens", most, spent.tokens[0][0] + WINDOW - now)
        spent.requests.append(now)

    def spend(self, caller: Caller, tokens: int) -> None:
        """Counts the tokens of a reply."""
        if caller.key is not None:
            self._spent[caller.key].tokens.append((self._clock(), tokens))

    async def _needed(self) -> bool:
        """Whether there is any key; once there is, an answer of some seconds ago will do."""
        asked, closed = self._closed
        if self._clock() - asked >= FRESH:
            closed = bool(await asyncio.to_thread(self.keys.list))
            self._closed = (self._clock(), closed)
        return closed

    async def _verified(self, secret: str) -> Caller:
        kept = self._known.get(secret)
        if kept is not None and self._clock() - kept[0] < FRESH:
            return kept[1]
        self._known.pop(secret, None)
        key = await asyncio.to_thread(self.keys.verify, secret)
        if key is None:
            raise Refused(401, "this key is not valid", "invalid_key", headers={"WWW-Authenticate": "Bearer"})
        found = Caller(key.name, key.limits)
        self._known[secret] = (self._clock(), found)
        return found


async def caller(request: Request) -> Caller:
    """The dependency of every route that is not open to all."""
    return await _found(request, None)


async def caller_by_x_api_key(request: Request) -> Caller:
    """The same for a route whose clients may send the key as X-Api-Key."""
    return await _found(request, "x-api-key")


async def _found(request: Request, elsewhere: str | None) -> Caller:
    access: Access = request.app.state.service.access
    found = await access.caller(request, elsewhere)
    request.state.key = found.key
    return found


def _limited(what: str, most: int, seconds: float) -> Refused:
    return Refused(
        429,
        f"this key may use {most} {what} a minute; try again in {seconds:.0f} seconds",
        "rate_limit_exceeded",
        headers={"Retry-After": str(max(1, round(seconds)))},
    )
