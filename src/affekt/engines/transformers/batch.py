"""A running batch: requests come and go while it goes on, one forward at a time."""

from __future__ import annotations

import threading
from collections import deque

from affekt.engines.engine import Reply, Request
from affekt.engines.token import Token
from affekt.engines.transformers.core import Core
from affekt.engines.transformers.entry import Entry, ready
from affekt.engines.transformers.filling import Filling
from affekt.engines.transformers.grid import Grid
from affekt.engines.transformers.row import Row
from affekt.errors import AffektError, PromptError

__all__ = ["Batch"]


class Batch:
    """Requests being answered. One thread steps it; `add` and `cancel` may come from others.

    Waiting requests join as soon as there is room, if the network's cache lets rows join (`Batch.joins`);
    else they wait until the whole batch is done."""

    def __init__(self, core: Core, rows: int, cells: int, chunk: int | None) -> None:
        self._core, self._rows, self._cells, self._chunk = core, rows, cells, chunk
        self._added: deque[Entry] = deque()
        self._waiting: deque[Entry] = deque()
        self._naming = threading.Lock()
        self._filling: Filling | None = None
        self._grid: Grid | None = None
        self._out: list[Token | Reply] = []
        self._names: set[str] = set()
        self._count = 0
        self._cancelled: deque[str] = deque()
        self._closed = False

    @property
    def joins(self) -> bool:
        """Whether requests join while others are being answered."""
        return self._core.joins

    @property
    def busy(self) -> bool:
        """Whether a step has anything to do."""
        return bool(self._added or self._waiting or self._filling or self._grid)

    def add(self, request: Request) -> str:
        """Takes a request in; it begins when there is room.

        Returns:
            Its id, which its tokens and replies bear.

        Raises:
            PromptError: for a prompt that is empty or too long, or an id that is in use.
            BiasError: for a bias that cannot be applied.
            UnknownConcept: for a concept that the vectors do not hold.
            VectorsError: for reading, steering or guarding without vectors.
            PolicyError: for a guard that this network's cache cannot serve.
        """
        if self._closed:
            raise AffektError("the batch is closed; open another")
        with self._naming:
            id = request.id if request.id is not None else str(self._count)
            if id in self._names:
                raise PromptError(f"two requests of the id {id!r} at once")
            entry = ready(self._core, request, id)
            self._count += 1
            self._names.add(id)
            self._added.append(entry)
        return id

    def cancel(self, id: str) -> None:
        """Ends a request's replies where they are, at the next step; one that is over already stays so."""
        if id in self._names:
            self._cancelled.append(id)

    def step(self) -> list[Token | Reply]:
        """Goes on by at most two forwards: one for prompts that come in, one for the replies being written.

        Returns:
            The tokens and replies that may be shown now, in order.

        Raises:
            Exception: whatever a forward or a guard raises. The batch is closed then: its network is as it
            was,
                its cache is not. Replies that are finished are `rescued`.
        """
        try:
            with self._core.turn():
                # The thread that steps has a queue of its own: one that is filled meanwhile cannot be gone
                # through.
                while self._added:
                    self._waiting.append(self._added.popleft())
                self._cancel()
                self._fill()
                if self._grid is not None:
                    self._grid.step(self._out)
                    self._prune()
        except BaseException:
            self.close()
            raise
        out, self._out = self._out, []
        with self._naming:
            self._names -= self._over(out)
        return out

    def rescued(self) -> list[Reply]:
        """Replies that were finished when a step failed, and that it did not return."""
        out, self._out = self._out, []
        return [piece for piece in out if isinstance(piece, Reply)]

    def close(self) -> None:
        """Forgets every request and frees the cache; no reply comes of them any more."""
        self._closed = True
        self._added.clear()
        self._waiting.clear()
        self._filling = self._grid = None

    def _fill(self) -> None:
        """Runs a part of the prompts that are coming in."""
        if self._filling is None:
            entries = self._admitted()
            self._filling = Filling(self._core, entries, self._chunk) if entries else None
        if self._filling is None:
            return
        grid = self._filling.step(self._out)
        if grid is None:
            return
        self._filling = None
        if self._grid is None:
            self._grid = grid
        elif grid.rows:
            self._grid.absorb(grid)
        self._prune()

    def _admitted(self) -> list[Entry]:
        """The requests whose turn it is, as many as there is room for; one at least when nothing else runs.

        Where others may join later, no more than one forward takes."""
        if self._grid is not None and not self.joins:
            return []
        live = [] if self._grid is None else self._grid.rows
        rows, width = len(live), 0 if self._grid is None else self._grid.width
        entries: list[Entry] = []
        longest = 0
        while self._waiting:
            entry = self._waiting[0]
            wider = max(width, len(entry.prompt) + entry.limit)
            longest = max(longest, len(entry.prompt))
            more = rows + entry.request.n
            if rows and (more > self._rows or more * wider > self._cells):
                break
            if entries and self.joins and (len(entries) + 1) * longest > self._core.budget:
                break
            entries.append(self._waiting.popleft())
            rows, width = more, wider
        return entries

    def _cancel(self) -> None:
        """Ends the replies of cancelled requests."""
        asked: set[str] = set()
        while self._cancelled:
            asked.add(self._cancelled.popleft())
        if not asked:
            return
        waiting = [entry for entry in self._waiting if entry.id in asked]
        self._waiting = deque(entry for entry in self._waiting if entry.id not in asked)
        rows = [Row(self._core, entry, choice) for entry in waiting for choice in range(entry.request.n)]
        if self._filling is not None:
            # A prompt that is being run goes on to its end; its replies end a step later.
            self._cancelled.extend({rows[0].entry.id for rows in self._filling.rows} & asked)
        if self._grid is not None:
            rows += [row for row in self._grid.rows if row.entry.id in asked]
        for row in rows:
            row.cancel()
            self._out.extend(row.release())
        if self._grid is not None:
            self._grid.leave()
            self._prune()

    def _prune(self) -> None:
        if self._grid is not None and not self._grid.rows:
            self._grid = None

    def _over(self, out: list[Token | Reply]) -> set[str]:
        """The requests all of whose replies are done."""
        ended = {piece.request for piece in out if isinstance(piece, Reply)}
        return ended - {row.entry.id for row in self._grid.rows} if self._grid is not None else ended
