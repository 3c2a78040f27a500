"""What runs the network beside the batch of replies: one at a time, and few that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from affekt.server.runner import Busy, Draining, Runner

__all__ = ["Gate"]

T = TypeVar("T")


class Gate:
    """Lets work through on a thread of its own, one piece after the other."""

    def __init__(self, runner: Runner, places: int) -> None:
        """Takes what knows of a shutdown, and how many pieces may be here at once."""
        self._runner, self._places = runner, places
        self._turn = asyncio.Lock()
        self._here = 0

    async def run(self, work: Callable[[], T]) -> T:
        """What the work returns.

        Raises:
            Busy: all places are taken.
            Draining: the server is shutting down.
        """
        if self._runner.draining:
            raise Draining
        if self._here >= self._places:
            raise Busy(self._places)
        self._here += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work)
        finally:
            self._here -= 1
