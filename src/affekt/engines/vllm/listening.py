"""What workers send of rows that somebody else steps: each reading to its own row and position."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from affekt.engines.vllm.channel import Inbox

__all__ = ["Heard", "Listener"]

POLL = 0.005
"""Seconds between two looks at the channel while something is waited for."""


@dataclass(eq=False)
class Heard:
    """What has come of one row."""

    readings: dict[int, Float[np.ndarray, " scalars"]] = field(default_factory=dict)
    """Per position, what has been read there."""
    refused: str = ""
    """Why a worker did not do what was ordered."""

    def missing(self, places: Iterable[int]) -> list[int]:
        """Those of some positions whose reading is not there."""
        return [place for place in places if place not in self.readings]


class Listener:
    """The front end's end of a channel, for a server or a program on vLLM's own loop."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._rows: dict[str, Heard] = {}

    def listen(self, key: str) -> Heard:
        """Keeps what comes of a row from now on, until `leave`."""
        self._rows[key] = heard = Heard()
        return heard

    def leave(self, key: str) -> None:
        """Lets go of a row."""
        self._rows.pop(key, None)

    def hear(self) -> None:
        """Takes what has come; never waits."""
        for header, values in self._inbox.receive():
            if header["kind"] == "refused":
                for key, heard in self._rows.items():
                    if f'"{key}"' in str(header["order"]):
                        heard.refused = str(header["why"])
            elif header["kind"] == "read" and values is not None:
                at = 0
                for key, first, count in header["rows"]:
                    if key in self._rows:
                        places = range(first, first + count)
                        self._rows[key].readings |= zip(places, values[at : at + count], strict=True)
                    at += count

    async def wait(self, heard: Heard, places: Iterable[int], seconds: float) -> None:
        """Until all of some positions are there, the order is refused, or so long has passed."""
        loop, wanted = asyncio.get_running_loop(), list(places)
        until = loop.time() + seconds
        while True:
            self.hear()
            if not heard.missing(wanted) or heard.refused or loop.time() > until:
                return
            await asyncio.sleep(POLL)

    def close(self) -> None:
        """Frees the channel."""
        self._inbox.close()
