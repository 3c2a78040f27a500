"""A batch of requests that are being answered, as those who drive one know it, and the loop that ends one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from affekt.engines.engine import Reply, Request, Token

__all__ = ["OpenBatch", "answers"]


@runtime_checkable
class OpenBatch(Protocol):
    """Requests come and go while others are being answered. One thread steps it."""

    @property
    def busy(self) -> bool:
        """Whether a step has anything to do."""

    def add(self, request: Request) -> str:
        """Takes a request in, and gives its id; refuses one that is wrong."""

    def cancel(self, id: str) -> None:
        """Ends a request at the next step."""

    def step(self) -> list[Token | Reply]:
        """Goes on by a step; gives what may be shown now."""

    def rescued(self) -> Sequence[Reply]:
        """Replies that were finished when a step failed, and that it did not return."""

    def close(self) -> None:
        """Forgets all requests."""


def answers(batch: OpenBatch, requests: Sequence[Request]) -> Iterator[Token | Reply]:
    """The generate verb: a batch filled at once and stepped to its end.

    Wrong requests are found here, before the first step. Closing the iterator closes the batch. On Ctrl-C,
    what is finished is still given before KeyboardInterrupt is raised."""
    try:
        for request in requests:
            batch.add(request)
    except BaseException:
        batch.close()
        raise
    return _stepped(batch)


def _stepped(batch: OpenBatch) -> Iterator[Token | Reply]:
    try:
        while batch.busy:
            try:
                shown = batch.step()
            except KeyboardInterrupt:
                yield from batch.rescued()
                raise
            yield from shown
    finally:
        batch.close()
