"""One scheduler step on a worker: whose each flat token is, and what is done after each block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from affekt.engines.transformers.probe import Probe
from affekt.engines.vllm.edits import Edits, FlatEdit, Piece, sent
from affekt.engines.vllm.rows import Row
from affekt.engines.vllm.stream import Stream

__all__ = ["Span", "Step"]


@dataclass(frozen=True, eq=False)
class Span:
    """A row's tokens in a step."""

    row: Row
    """The row."""
    start: int
    """Where they begin among the step's flat tokens."""
    first: int
    """The position of the first."""
    count: int
    """How many."""

    def flat(self, places: Sequence[int]) -> list[int]:
        """Flat tokens of some of the span's positions."""
        return [self.start + place - self.first for place in places]


class Step:
    """What a forward does for the rows that have orders."""

    def __init__(
        self,
        spans: Sequence[Span],
        tokens: int,
        edits: Edits,
        probe: Callable[[int], Probe],
        device: torch.device,
    ) -> None:
        """Lays the step out.

        Args:
            spans: the tokens of rows with orders.
            tokens: how many tokens the step has in all.
            edits: makes edits, and keeps those of the step before.
            probe: the read-out at a layer.
            device: where the model is.
        """
        self._spans, self._device, self._probe = spans, device, probe
        pieces: list[Piece] = [
            piece for span in spans for piece in span.row.pieces(span.start, span.first, span.count)
        ]
        self._edits: Mapping[int, FlatEdit] = edits.at(pieces, tokens)
        self._nudges = [span for span in spans if span.row.order.nudge is not None]
        # Places are sent to the device before the forward, so that no layer waits for them.
        self._reads = _by_layer(spans)
        self._where = {layer: self._flat(parts, tokens) for layer, parts in self._reads.items()}
        self.read: dict[int, Float[Tensor, "tokens scalars"]] = {}
        """Per layer, the scalars of the tokens that are read there, on the device."""
        self.told: dict[int, list[tuple[str, int, int]]] = {
            layer: [(span.row.order.key, low, high - low) for span, low, high in parts]
            for layer, parts in self._reads.items()
        }
        """Per layer, whose they are: key, first position, how many."""
        self._picks = [
            (span, places, sent(torch.tensor(span.flat(places)), device)) for span, places in _picks(spans)
        ]

    def after(self, layer: int, stream: Stream) -> None:
        """Called when a block is done: edits first, then what is read of the edited residual."""
        edit = self._edits.get(layer)
        if edit is not None:
            edit(stream)
        for span in self._nudges:
            nudge, order = span.row.nudge, span.row.order.nudge
            if order is not None and nudge is not None and order.layer == layer:
                half = stream.other if order.half == "other" else stream.carrier
                if half is not None:
                    half[span.start : span.start + span.count].add_(nudge)
        where = self._where.get(layer)
        if where is not None:
            self.read[layer] = self._probe(layer).scalars(stream.total(where))
        for span, _, flat in self._picks:
            collect = span.row.order.collect
            if collect is not None and layer in collect.layers:
                _collect(span.row, stream.total(flat), layer, collect.mean)

    def collected(self) -> list[Row]:
        """Rows all of whose picks have been seen with this step."""
        done = []
        for span, places, _ in self._picks:
            span.row.picked += len(places)
            collect = span.row.order.collect
            if collect is not None and span.row.picked >= len(collect.picks):
                done.append(span.row)
        return done

    def _flat(self, parts: Sequence[tuple[Span, int, int]], tokens: int) -> Int[Tensor, " read"] | slice:
        flat = [at for span, low, high in parts for at in span.flat(range(low, high))]
        if flat == list(range(tokens)):
            return slice(0, tokens)
        return sent(torch.tensor(flat), self._device)


def _collect(row: Row, values: Float[Tensor, "picked d_model"], layer: int, mean: bool) -> None:
    before = row.sums.get(layer)
    if mean:
        values = values.sum(0, keepdim=True)
        row.sums[layer] = values if before is None else before + values
    else:
        row.sums[layer] = values if before is None else torch.cat([before, values])


def _by_layer(spans: Sequence[Span]) -> dict[int, list[tuple[Span, int, int]]]:
    """Per layer, the tokens read there: span, first position, the one after the last."""
    found: dict[int, list[tuple[Span, int, int]]] = {}
    for span in spans:
        order = span.row.order
        low = max(order.first, span.first)
        if order.read is not None and low < span.first + span.count:
            found.setdefault(order.read, []).append((span, low, span.first + span.count))
    return found


def _picks(spans: Sequence[Span]) -> list[tuple[Span, list[int]]]:
    """The positions in this step whose residuals are wanted."""
    found = []
    for span in spans:
        collect = span.row.order.collect
        if collect is None:
            continue
        # A row that was preempted comes again from its beginning: what was seen before is not counted twice.
        places = [
            place
            for place in collect.picks[span.row.picked :]
            if span.first <= place < span.first + span.count
        ]
        if places:
            found.append((span, places))
    return found
