"""A batch of requests that are being answered, as those who drive one know it, and the loop that ends one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from affekt.engines.engine import Reply, Request
from affekt.engines.token import Token
from affekt.errors import AffektError

__all__ = ["Failed", "OpenBatch", "answers"]


@dataclass(frozen=True)
class Failed:
    """A request that ends with an error while those beside it go on; no reply comes of it any more."""

    request: str
    """Its id."""
    error: AffektError
    """Why."""


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

    def step(self) -> Sequence[Token | Reply | Failed]:
        """Goes on by a step; gives what may be shown now, and which requests have failed by themselves."""

    def rescued(self) -> Sequence[Reply]:
        """Replies that were finished when a step failed, and that it did not return."""

    def close(self) -> None:
        """Forgets all requests."""


def answers(batch: OpenBatch, requests: Sequence[Request]) -> Iterator[Token | Reply]:
    """The generate verb: a batch filled at once and stepped to its end.

    Wrong requests are found here, before the first step. Closing the iterator closes the batch. On Ctrl-C,
    what is finished is still given before KeyboardInterrupt is raised. The error of a request that fails by
    itself is raised when the others are answered."""
    try:
        for request in requests:
            batch.add(request)
    except BaseException:
        batch.close()
        raise
    return _stepped(batch)


def _stepped(batch: OpenBatch) -> Iterator[Token | Reply]:
    failed: list[Failed] = []
    try:
        while batch.busy:
            try:
                shown = batch.step()
            except KeyboardInterrupt:
                yield from batch.rescued()
                raise
            for piece in shown:
                if isinstance(piece, Failed):
                    failed.append(piece)
                else:
                    yield piece
    finally:
        batch.close()
    if failed:
        raise failed[0].error
