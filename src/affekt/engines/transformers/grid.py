"""The rows of one cache, going on by one token a step together; rows leave when they are over, and others
join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers.cache_utils import Cache

from affekt.engines.engine import Reply
from affekt.engines.token import Token, TopToken
from affekt.engines.transformers import kv
from affekt.engines.transformers.core import Core
from affekt.engines.transformers.forward import Outcome
from affekt.engines.transformers.probe import Probe
from affekt.engines.transformers.row import Row
from affekt.engines.transformers.sample import choose
from affekt.engines.watch import Directive
from affekt.steering.edit import BatchEdit

__all__ = ["Grid", "layers_of", "probes_of"]

SLACK = 64
"""Columns of padding at which the mask is made longer than it must be, so that it is not made anew each
step."""


class Grid:
    """Replies being written in one batch. Row `i` stands in row `i` of the cache, and all rows end
    together."""

    def __init__(self, core: Core, cache: Cache, rows: Sequence[Row], width: int) -> None:
        """Takes rows whose prompts are in the cache.

        Args:
            core: the engine's inside.
            cache: of `width` columns.
            rows: in the cache's order.
            width: columns, the longest row's tokens or more.
        """
        self._core, self._cache, self.rows, self.width = core, cache, list(rows), width
        self._mask: Bool[Tensor, "batch length"] | None = None
        self._compose()

    def settle(self, outcome: Outcome, out: list[Token | Reply]) -> None:
        """Goes on from a forward: asks the guards, chooses each row's next token, and shows what may be
        shown.

        Args:
            outcome: of the forward that took each row's latest token.
            out: what is shown is added to it, piece by piece, so that an interruption loses nothing.
        """
        drawing = [self._looked(index, outcome) for index in range(len(self.rows))]
        if outcome.logits is not None and any(drawing):
            self._draw(outcome.logits, drawing)
        for row in self.rows:
            out.extend(row.release())
        self.leave()

    def step(self, out: list[Token | Reply]) -> None:
        """One token more for every row; shows into `out`."""
        rows, core = self.rows, self._core
        places = torch.tensor([[row.consumed - 1] for row in rows])
        for index, row in enumerate(rows):
            if row.trail is not None:
                row.trail.remember(self._cache, index, row.consumed - 1)
        # Rows that only wait for their last reading need no block beyond it; a guard might make one go on.
        last = all(row.final is not None and row.entry.request.guard is None for row in rows)
        outcome = core.forward(
            torch.tensor([[row.latest] for row in rows]),
            places,
            self._padding(),
            self._cache,
            self._edit.at(places),
            probes_of(rows),
            only_read=last,
            layers=layers_of(rows),
        )
        self.width += 1
        self.settle(outcome, out)

    def leave(self) -> None:
        """Takes the rows out that are over."""
        staying = [index for index, row in enumerate(self.rows) if not row.over]
        if len(staying) == len(self.rows):
            return
        self.rows = [self.rows[index] for index in staying]
        if self.rows:
            trim = min(self.width - row.consumed for row in self.rows) + 1 if self._core.joins else 0
            kv.select(self._cache, torch.tensor(staying, device=self._core.model.device), trim)
            self.width -= trim
            self._compose()

    def absorb(self, other: Grid) -> None:
        """Takes the rows of another grid in."""
        kv.absorb(self._cache, other._cache)
        self.rows += other.rows
        self.width = max(self.width, other.width)
        self._compose()

    def _looked(self, index: int, outcome: Outcome) -> bool:
        """Takes a row's reading and does what its guard orders; returns whether the row needs a token."""
        row, probe = self.rows[index], self.rows[index].entry.probe
        if row.again:
            row.again = False
        elif row.reads:
            row.keep({layer: kept[index] for layer, kept in outcome.residuals.items()})
            if probe is not None:
                directive = row.look(outcome.scalars[probe.layer][index, -1])
                if directive is not None:
                    self._obey(index, directive)
            if row.final is not None and not row.again:
                row.over = True
        return not row.over and not row.again

    def _obey(self, index: int, directive: Directive) -> None:
        row = self.rows[index]
        row.obey(directive)
        if directive.kind in ("rebias", "rewind"):
            if directive.kind == "rewind":
                self._rewind(index, directive.tokens)
            if directive.bias is not None:
                row.steer(directive.bias)
            self._edit = BatchEdit([one.program for one in self.rows])

    def _rewind(self, index: int, tokens: int) -> None:
        """Takes a row's tokens away, and the forward of the one before them, which runs again."""
        row = self.rows[index]
        columns = row.drop(tokens) + 1
        kv.drop(self._cache, index, columns)
        if row.trail is not None:
            row.trail.back(self._cache, index, row.consumed - 1)
        row.again = True
        self._mask = None

    def _draw(self, logits: Float[Tensor, "batch vocab"], drawing: Sequence[bool]) -> None:
        rows = self.rows
        for index, row in enumerate(rows):
            if drawing[index] and row.bans:
                logits[index, list(self._core.ends)] = -torch.inf
        tokens = choose(logits, [row.chooser if on else None for row, on in zip(rows, drawing, strict=True)])
        changed = False
        for index, row in enumerate(rows):
            if drawing[index]:
                own = _logprobs(self._core, row, logits[index], tokens[index])
                changed |= row.take(tokens[index], *own)
        if changed:
            self._edit = BatchEdit([row.program for row in rows])

    def _compose(self) -> None:
        self._edit = BatchEdit([row.program for row in self.rows])
        self._mask = None

    def _padding(self) -> Bool[Tensor, "batch length"] | None:
        """What of the cache and of the step's own column is no padding; None where all of it is not."""
        length = self.width + 1
        pads = [length - row.consumed for row in self.rows]
        if not any(pads):
            return None
        if self._mask is None or self._mask.shape[1] < length:
            columns = torch.arange(length + SLACK, device=self._core.model.device)
            self._mask = columns >= torch.tensor(pads, device=columns.device)[:, None]
        return self._mask[:, :length]


def probes_of(rows: Sequence[Row]) -> list[Probe]:
    """The read-outs that some row needs, each once."""
    found: Mapping[int, Probe] = {
        row.entry.probe.layer: row.entry.probe for row in rows if row.entry.probe is not None
    }
    return list(found.values())


def layers_of(rows: Sequence[Row]) -> list[int]:
    """The layers whose residuals some row keeps."""
    return sorted({layer for row in rows for layer in row.entry.request.residuals})


def _logprobs(
    core: Core, row: Row, logits: Float[Tensor, " vocab"], token: int
) -> tuple[float | None, tuple[TopToken, ...]]:
    """A token's log-probability and the likeliest ones, as far as the row wants them."""
    wanted = row.entry.request.sampling.logprobs
    if wanted is None:
        return None, ()
    logprobs = logits.float().log_softmax(-1)
    best, order = logprobs.topk(min(wanted, len(logprobs)))
    tops = zip(order.tolist(), best.tolist(), strict=True)
    decode = core.model.tokenizer.decode
    return float(logprobs[token]), tuple(TopToken(id, str(decode([id])), value) for id, value in tops)
