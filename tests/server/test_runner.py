"""The thread that steps an engine's batch, on a batch that fails as it is told to."""

from __future__ import annotations

import asyncio
import time

import pytest

from affekt.engines import Reply, Request, Sampling, Token
from affekt.engines.batch import Failed
from affekt.errors import AffektError, ReadingError
from affekt.server.runner import Broken, Busy, Draining, Runner
from tests.engines.small import CHAT, engine


class Scripted:
    """A batch that fails on a word, and otherwise replies with one token."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    @property
    def busy(self) -> bool:
        return bool(self.asked)

    def add(self, request: Request) -> str:
        if request.source == "refuse":
            raise AffektError("refused")
        self.asked.append(request)
        return str(request.id)

    def cancel(self, id: str) -> None:
        self.asked = [request for request in self.asked if request.id != id]

    def step(self) -> list[Token | Reply | Failed]:
        if any(request.source == "fail" for request in self.asked):
            raise RuntimeError("out of memory")
        alone = [request for request in self.asked if request.source == "fail alone"]
        out: list[Token | Reply | Failed] = [
            piece
            for request in self.asked
            if request not in alone
            for piece in engine().generate([Request(CHAT, Sampling(max_tokens=1), id=request.id)])
        ]
        out += [Failed(str(request.id), ReadingError("token 6 did not come")) for request in alone]
        self.asked = []
        return out

    def rescued(self) -> list[Reply]:
        return []

    def close(self) -> None:
        self.asked = []


def test_an_engine_that_fails_takes_its_own_requests_with_it_and_no_others() -> None:
    runner = Runner(Scripted, queue=3)

    async def ask(source: str, id: str) -> list[Token | Reply]:
        return [piece async for piece in runner.submit(Request(source), id)]

    async def all_of_it() -> None:
        with pytest.raises(AffektError, match="refused"):
            await ask("refuse", "a")
        with pytest.raises(Broken, match="out of memory"):
            await ask("fail", "b")
        assert isinstance((await ask("go on", "c"))[-1], Reply)
        alone, beside = await asyncio.gather(
            ask("fail alone", "e"), ask("go on", "f"), return_exceptions=True
        )
        assert isinstance(alone, ReadingError) and isinstance(beside, list) and len(beside) == 2
        assert runner.live == 0
        assert await runner.drain(1)
        with pytest.raises(Draining):
            runner.submit(Request("late"), "d")

    asyncio.run(all_of_it())
    runner.stop()
    assert not runner.alive


def test_an_engine_that_cannot_be_opened_again_fails_requests_and_tries_with_the_next() -> None:
    room = True

    def open_batch() -> Scripted:
        if not room:
            raise MemoryError("no room")
        return Scripted()

    runner = Runner(open_batch, queue=3)

    async def ask(source: str, id: str) -> list[Token | Reply]:
        return [piece async for piece in runner.submit(Request(source), id)]

    async def all_of_it() -> None:
        nonlocal room
        room = False
        with pytest.raises(Broken, match="out of memory"):
            await ask("fail", "a")
        with pytest.raises(Broken, match="cannot be opened again: MemoryError: no room"):
            await ask("go on", "b")
        room = True
        assert isinstance((await ask("go on", "c"))[-1], Reply)

    asyncio.run(all_of_it())
    assert runner.alive
    runner.stop()


def test_places_are_counted() -> None:
    class Never(Scripted):
        def step(self) -> list[Token | Reply | Failed]:
            time.sleep(0.01)
            return []

    runner = Runner(Never, queue=2)

    async def fill() -> None:
        streams = [runner.submit(Request("x"), str(number)) for number in range(2)]
        with pytest.raises(Busy):
            runner.submit(Request("x"), "2")
        waiting = asyncio.ensure_future(anext(aiter(streams[0])))
        await asyncio.sleep(0.05)
        runner.stop()
        with pytest.raises(Draining):
            await waiting

    asyncio.run(fill())
