"""One thread that steps the engine's batch; requests come and go from the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from affekt.engines.batch import Failed, OpenBatch
from affekt.engines.engine import Reply, Request
from affekt.engines.token import Token
from affekt.errors import AffektError

__all__ = ["Broken", "Busy", "Draining", "Runner", "Stream"]


class Busy(AffektError):
    """The queue is full."""

    def __init__(self, queue: int) -> None:
        super().__init__(f"all {queue} places are taken; try again in a moment")


class Draining(AffektError):
    """The server is shutting down."""

    def __init__(self) -> None:
        super().__init__("the server is shutting down; it takes no new requests")


class Broken(AffektError):
    """The engine failed while it answered."""


@dataclass(frozen=True)
class _Failed:
    error: BaseException


class Stream:
    """The tokens and replies of one request, in order. Whoever leaves early calls `cancel`."""

    def __init__(self, runner: Runner, id: str, replies: int) -> None:
        self._runner, self.id, self.replies, self._left = runner, id, replies, replies
        self.ended = 0
        """Replies that the runner has handed over."""
        self.begun = False
        """Whether a token or a reply has come."""
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[Token | Reply | _Failed] = asyncio.Queue()

    def put(self, piece: Token | Reply | _Failed) -> None:
        """Called by the runner's thread."""
        try:
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)
        except RuntimeError:
            return  # the event loop is closed: nobody listens any more

    def cancel(self) -> None:
        """Ends the request; safe to call when it is over."""
        if self._left:
            self._runner.cancel(self.id)

    async def __aiter__(self) -> AsyncIterator[Token | Reply]:
        while self._left:
            piece = await self._pieces.get()
            if isinstance(piece, _Failed):
                self._left = 0
                raise piece.error
            self._left -= isinstance(piece, Reply)
            yield piece


class Runner:
    """Answers requests in one batch, on a thread of its own."""

    def __init__(self, open_batch: Callable[[], OpenBatch], queue: int) -> None:
        """Takes what opens a batch, at the start and after a failure, and the number of places."""
        self._open, self._queue = open_batch, queue
        self._batch = open_batch()
        self._streams: dict[str, Stream] = {}
        self._asked: list[tuple[Request, Stream]] = []
        self._cancelled: set[str] = set()
        self._wake = threading.Condition()
        self._draining = self._stopped = False
        self._thread = threading.Thread(target=self._run, name="affekt-runner", daemon=True)
        self._thread.start()

    @property
    def live(self) -> int:
        """Requests that wait or are being answered."""
        with self._wake:
            return len(self._streams)

    @property
    def waiting(self) -> int:
        """Requests without a token yet."""
        with self._wake:
            return sum(not stream.begun for stream in self._streams.values())

    @property
    def draining(self) -> bool:
        """Whether new requests are refused."""
        return self._draining

    @property
    def alive(self) -> bool:
        """Whether requests are answered at all."""
        return self._thread.is_alive() and not self._stopped

    def submit(self, request: Request, id: str) -> Stream:
        """Takes a request in under an id.

        Raises:
            Busy: the queue is full.
            Draining: after `drain` was called.
        """
        with self._wake:
            if self._draining or self._stopped:
                raise Draining
            if len(self._streams) >= self._queue:
                raise Busy(self._queue)
            if id in self._streams:
                raise AffektError(f"two requests of the id {id!r} at once")
            stream = self._streams[id] = Stream(self, id, request.n)
            self._asked.append((replace(request, id=id), stream))
            self._wake.notify()
        return stream

    def cancel(self, id: str) -> None:
        """Ends a request at the next step; its place is free then."""
        with self._wake:
            if id in self._streams:
                self._cancelled.add(id)
                self._wake.notify()

    def refuse(self) -> None:
        """Takes no new requests from now on; safe in the handler of a signal."""
        self._draining = True

    async def drain(self, seconds: float) -> bool:
        """Refuses new requests and waits for those there are; whether all were answered in time."""
        self.refuse()
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while self.live and loop.time() < until:
            await asyncio.sleep(0.05)
        return not self.live

    def stop(self) -> None:
        """Ends the thread; requests that are still there fail."""
        with self._wake:
            self._draining = self._stopped = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._stopped or self._asked or self._cancelled or self._batch.busy):
                    self._wake.wait()
                if self._stopped:
                    self._fail(Draining())
                    self._batch.close()
                    return
                asked, self._asked = self._asked, []
                cancelled, self._cancelled = self._cancelled, set()
            for request, stream in asked:
                self._take_in(request, stream)
            for id in cancelled:
                self._batch.cancel(id)
            if self._batch.busy:
                self._step()

    def _take_in(self, request: Request, stream: Stream) -> None:
        try:
            self._batch.add(request)
        except Exception as error:
            # Whatever is wrong with one request is that request's alone.
            self._leave(stream.id)
            stream.put(_Failed(error))

    def _step(self) -> None:
        try:
            pieces = self._batch.step()
        except Exception as error:
            self._deliver(self._batch.rescued())
            broken = Broken(f"the engine failed: {type(error).__name__}: {error}")
            broken.__cause__ = error
            with self._wake:
                # Those not yet taken in begin with the new batch.
                waiting = {stream.id for _, stream in self._asked}
                self._fail(broken, but=waiting)
            self._reopen()
            return
        self._deliver(pieces)

    def _reopen(self) -> None:
        """Opens another batch. While there is none, requests fail and say why; each new one is a try."""
        while True:
            try:
                self._batch = self._open()
                return
            except Exception as error:
                broken = Broken(f"the engine cannot be opened again: {type(error).__name__}: {error}")
                broken.__cause__ = error
            with self._wake:
                self._asked.clear()
                self._fail(broken)
                while not (self._stopped or self._asked):
                    self._wake.wait()
                if self._stopped:
                    return

    def _deliver(self, pieces: Sequence[Token | Reply | Failed]) -> None:
        for piece in pieces:
            with self._wake:
                stream = self._streams.get(piece.request)
            if stream is None:
                continue
            stream.begun = True
            if isinstance(piece, Failed):
                self._leave(piece.request)
                stream.put(_Failed(piece.error))
                continue
            if isinstance(piece, Reply):
                stream.ended += 1
                if stream.ended == stream.replies:
                    self._leave(piece.request)
            stream.put(piece)

    def _leave(self, id: str) -> None:
        with self._wake:
            self._streams.pop(id, None)

    def _fail(self, error: BaseException, but: frozenset[str] | set[str] = frozenset()) -> None:
        for id in [id for id in self._streams if id not in but]:
            self._streams.pop(id).put(_Failed(error))
