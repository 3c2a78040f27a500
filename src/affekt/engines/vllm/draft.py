"""One reply being written by vLLM. What steers it changes by handing it in anew, up to its latest token.

vLLM may have run tokens beyond the one that a guard trips at; they are discarded. The new row carries the
whole history of what steered which position, so that its past is the same to rounding, after a preemption
too, and so that its blocks of the prefix cache are nobody else's. A reading that is lost is read again in
the same way."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from affekt.engines.desk import Desk
from affekt.engines.engine import Reply
from affekt.engines.token import Token, TopToken
from affekt.engines.transformers.entry import Entry
from affekt.engines.transformers.ready import parsed
from affekt.engines.transformers.row import Row
from affekt.engines.vllm.driver import TRIES, Driver, Run
from affekt.engines.vllm.order import Order, Segment
from affekt.engines.vllm.sampled import sampled, tokens_of
from affekt.engines.watch import Directive
from affekt.errors import ReadingError
from affekt.models.prompt import Encoded
from affekt.steering.bias import Bias
from affekt.steering.plan import plan
from affekt.steering.program import Program

__all__ = ["Draft", "Prompt", "segment"]


@dataclass(eq=False)
class Prompt:
    """What the replies to one request share."""

    scalars: Float[np.ndarray, "tokens scalars"] | None = None
    """What was read of the prompt, once the first of them has it."""


class Draft:
    """A reply, and the vLLM row that is writing it now."""

    def __init__(self, desk: Desk, driver: Driver, entry: Entry, choice: int, prompt: Prompt) -> None:
        self.row = Row(desk, entry, choice)
        self._desk, self._driver, self._entry, self._prompt = desk, driver, entry, prompt
        self._segments = [segment(entry.prompt, entry.bias, entry.program, 0)]
        self._bias = entry.bias
        self._pending: deque[tuple[int, float | None, tuple[TopToken, ...]]] = deque()
        self._tries = self._losses = 0
        self._run = self._submit()

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self.row.over

    def advance(self, out: list[Token | Reply]) -> None:
        """Takes what vLLM has written since; shows into `out`.

        Raises:
            ReadingError: a reading is lost, also after it was read again.
            AffektError: a worker has refused the order.
        """
        wanted = self._entry.request.sampling.logprobs or 0
        while self._run.outputs:
            output = self._run.outputs.popleft()
            self._pending.extend(tokens_of(output, self._desk.model.tokenizer, wanted))
        anew = False
        while self._pending and not self.row.over and not anew:
            there = self._there()
            if there is None:
                break
            anew = not there or self._next()
        if self.row.over and self._entry.columns is not None:
            self.row.prompt_scalars = self._prompt.scalars
        out.extend(self.row.release())
        if self.row.over:
            self._driver.abort([self._run])
        elif anew or (self._run.finished and not self._run.outputs and not self._pending):
            self._again()

    def cancel(self, out: list[Token | Reply]) -> None:
        """Ends it with what has been shown."""
        self.row.cancel()
        out.extend(self.row.release())
        self._driver.abort([self._run])

    def drop(self) -> None:
        """Ends it; nothing of it is shown any more."""
        self._driver.abort([self._run])

    def _next(self) -> bool:
        """Goes on by a token; returns whether the row must be handed in anew."""
        row, changed = self.row, False
        if row.reads:
            changed = self._looked()
            if row.over or row.again:
                return row.again
        heard = row.take(*self._pending.popleft())
        if changed:
            self._steers(row.consumed - 1, row.program)
        elif heard:
            self._steers(row.consumed, row.program)
        return (changed or heard) and not row.over

    def _looked(self) -> bool:
        """Takes the reading of the latest token and does what the guard orders; returns whether the row is
        steered otherwise from its next token on."""
        row = self.row
        if row.again:
            row.again = False
            return False
        directive = row.look(self._run.readings[row.consumed - 1])
        changed = directive is not None and self._obey(directive)
        if row.final is not None and not row.again:
            row.over = True
        return changed

    def _obey(self, directive: Directive) -> bool:
        row = self.row
        row.obey(directive)
        if directive.kind == "rewind":
            row.drop(directive.tokens)
            row.again = True
            self._rebias(directive)
            self._steers(row.consumed - 1, row.program)
        elif directive.kind == "rebias":
            self._rebias(directive)
            return True
        return False

    def _rebias(self, directive: Directive) -> None:
        if directive.bias is not None:
            self._bias = parsed(directive.bias, self._desk.vectors)
            self.row.steer(self._bias)

    def _steers(self, start: int, program: Program | None) -> None:
        """From a position on, what steers the row is a program of its present bias."""
        kept = [one for one in self._segments if one.start < start]
        self._segments = [*kept, segment(self._entry.prompt, self._bias, program, start)]

    def _there(self) -> bool | None:
        """Whether what the next token needs has been read; None while it may still come, False where it is
        lost and the row must be handed in anew."""
        try:
            there = self._read_so_far()
        except ReadingError:
            self._losses += 1
            if self._losses > TRIES:
                raise
            return False
        if there:
            self._losses = 0
        return there or None

    def _read_so_far(self) -> bool:
        row, prompt = self.row, self._prompt
        if self._entry.columns is not None and prompt.scalars is None:
            # The first of the replies brings the prompt's readings, before its first token is taken.
            places = range(len(self._entry.prompt))
            if row.choice or not self._driver.has(self._run, places):
                return False
            prompt.scalars = np.stack([self._run.readings[at] for at in places])
        return self._driver.has(self._run, [row.consumed - 1] if row.reads and not row.again else ())

    def _again(self) -> None:
        self._driver.abort([self._run])
        self._pending.clear()
        self._tries += 1
        self._run = self._submit()

    def _submit(self) -> Run:
        row, entry = self.row, self._entry
        ids = (*entry.prompt.ids, *row.ids)
        whole = entry.columns is not None and not row.ids and row.choice == 0
        order = Order(
            key=self._driver.key(),
            read=None if entry.probe is None else entry.probe.layer,
            first=0 if whole else len(ids) - 1,
            segments=() if all(not one.plan.terms for one in self._segments) else tuple(self._segments),
        )
        params = sampled(
            entry.request.sampling,
            left=entry.limit - len(row.ids),
            written=len(row.ids),
            reads=row.reads,
            seed=row.choice + 1009 * self._tries,
            ends=self._desk.ends,
            fresh=whole,
        )
        return self._driver.submit(ids, params, order)


def segment(prompt: Encoded, bias: Bias, program: Program | None, start: int) -> Segment:
    """What steers a row from a position on, as it is told to workers.

    Args:
        prompt: what it is laid out for.
        bias: what is asked for.
        program: the same for this prompt, with the markers it has heard; None changes nothing.
        start: the position.
    """
    if program is None:
        return Segment(start, plan(Bias(), prompt))
    return Segment(start, replace(plan(bias, prompt), schedules=program.schedules))
