"""Requests being answered by vLLM; see `affekt.engines.batch.OpenBatch`."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from affekt.engines.batch import Failed
from affekt.engines.desk import Desk
from affekt.engines.engine import Reply, Request
from affekt.engines.token import Token
from affekt.engines.transformers.entry import Entry, ready
from affekt.engines.vllm.draft import Draft, Prompt
from affekt.engines.vllm.driver import Driver
from affekt.errors import AffektError, ModelError, PromptError

__all__ = ["Batch"]


class Batch:
    """Requests come and go while others are being answered. One thread steps it; `add` and `cancel` may come
    from others. vLLM does the batching."""

    def __init__(self, desk: Desk, alive: Callable[[], Driver]) -> None:
        """Takes what gives a vLLM that lives, so that one that dies while nothing runs is not used again."""
        self._desk, self._alive = desk, alive
        self._driver = alive()
        self._taking = threading.Lock()
        self._drafts: list[Draft] = []
        self._live: dict[str, int] = {}
        self._out: list[Token | Reply | Failed] = []
        self._cancelled: deque[str] = deque()
        self._count = 0
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a step has anything to do."""
        return bool(self._drafts)

    def add(self, request: Request) -> str:
        """Takes a request in, and hands it to vLLM.

        Returns:
            Its id, which its tokens and replies bear.

        Raises:
            PromptError: for a prompt that is empty or too long, or an id that is in use.
            BiasError, UnknownConcept, VectorsError: for what these vectors cannot do.
            ModelError: vLLM has died.
        """
        with self._taking:
            if self._closed:
                raise AffektError("the batch is closed; open another")
            id = request.id if request.id is not None else str(self._count)
            if id in self._live:
                raise PromptError(f"two requests of the id {id!r} at once")
            if request.residuals:
                raise PromptError(
                    "vLLM keeps no residuals of what it writes; collect them from the reply's `whole`"
                )
            entry = ready(self._desk, request, id)
            if not self._drafts:
                self._driver = self._alive()
            drafts = self._begun(entry)
            self._count += 1
            self._live[id] = len(drafts)
            self._drafts += drafts
        return id

    def cancel(self, id: str) -> None:
        """Ends a request's replies where they are, at the next step; one that is over already stays so."""
        if id in self._live:
            self._cancelled.append(id)

    def step(self) -> list[Token | Reply | Failed]:
        """Goes on by a step of vLLM.

        Returns:
            The tokens and replies that may be shown now, in order, and the requests that have failed alone:
            one whose reading is lost, or whose order a worker refused.

        Raises:
            ModelError: vLLM or one of its workers has died.
        """
        try:
            self._cancel()
            if self._drafts:
                self._driver.pump()
            for draft in list(self._drafts):
                self._advance(draft)
            self._leave()
        except BaseException:
            self.close()
            raise
        out, self._out = self._out, []
        return out

    def rescued(self) -> list[Reply]:
        """Replies that were finished when a step failed, and that it did not return."""
        out, self._out = self._out, []
        return [piece for piece in out if isinstance(piece, Reply)]

    def close(self) -> None:
        """Ends every request; no reply comes of them any more."""
        with self._taking:
            self._closed = True
            drafts, self._drafts = self._drafts, []
            self._live.clear()
        for draft in drafts:
            draft.drop()

    def _begun(self, entry: Entry) -> list[Draft]:
        """All replies to a request, or none."""
        drafts: list[Draft] = []
        prompt = Prompt()
        try:
            for choice in range(entry.request.n):
                drafts.append(Draft(self._desk, self._driver, entry, choice, prompt))
        except BaseException:
            for draft in drafts:
                draft.drop()
            raise
        return drafts

    def _advance(self, draft: Draft) -> None:
        id, out = draft.row.entry.id, list[Token | Reply]()
        if id not in self._live:
            return  # another reply to the same request has failed in this step
        try:
            draft.advance(out)
        except ModelError:
            raise
        except AffektError as error:
            del self._live[id]
            for other in [other for other in self._drafts if other.row.entry.id == id]:
                self._drafts.remove(other)
                other.drop()
            self._out.append(Failed(id, error))
        else:
            self._out.extend(out)

    def _cancel(self) -> None:
        while self._cancelled:
            id = self._cancelled.popleft()
            for draft in self._drafts:
                if draft.row.entry.id == id and not draft.over:
                    out: list[Token | Reply] = []
                    draft.cancel(out)
                    self._out.extend(out)
        self._leave()

    def _leave(self) -> None:
        for draft in [draft for draft in self._drafts if draft.over]:
            self._drafts.remove(draft)
            id = draft.row.entry.id
            self._live[id] -= 1
            if not self._live[id]:
                del self._live[id]
