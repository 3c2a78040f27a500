"""One forward with a cache, edits and readings in place; the hooks are gone when it returns."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers.cache_utils import Cache

from affekt.engines.transformers.probe import Probe
from affekt.models.model import Model
from affekt.models.residual import Edit, capture, edit, repeat

__all__ = ["Forward", "Outcome"]


class _Enough(BaseException):
    """Unwinds a forward whose readings are all taken; it never leaves `Forward`."""


@dataclass(frozen=True)
class Outcome:
    """What a forward gives."""

    logits: Float[Tensor, "batch vocab"] | None
    """At the last token of each row; None for a forward that was only to be read."""
    scalars: Mapping[int, Float[np.ndarray, "batch tokens scalars"]]
    """Per layer read, what a reading needs of every token, or of the last one only."""
    residuals: Mapping[int, Float[Tensor, "batch d_model"]] = field(default_factory=dict)
    """Per layer kept, the residual at the last token of each row; float32 on the CPU."""


class Forward:
    """Runs a model's network."""

    def __init__(self, model: Model) -> None:
        self._model = model
        known = inspect.signature(type(model.network).forward).parameters
        self._last = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
        self._places = "position_ids" in known
        self._cache = "cache" if "cache" in known else "past_key_values"

    def __call__(
        self,
        ids: Int[Tensor, "batch tokens"],
        positions: Int[Tensor, "batch tokens"],
        mask: Bool[Tensor, "batch length"] | None,
        cache: Cache | None,
        edits: Mapping[int, Edit],
        probes: Sequence[Probe] = (),
        every: bool = False,
        only_read: bool = False,
        layers: Sequence[int] = (),
    ) -> Outcome:
        """One forward.

        Args:
            ids: the tokens; all rows end with one of theirs.
            positions: each token's place in its own row; -1 for padding. On the CPU.
            mask: what is no padding, of cached and new tokens; None where nothing is padded.
            cache: grows by these tokens.
            edits: per layer, what steers this forward.
            probes: read-outs at different layers.
            every: read every token instead of the last one.
            only_read: end after the deepest layer read or kept; the cache is of no use then.
            layers: whose residuals are kept.
        """
        read = {probe.layer: probe for probe in probes}
        deepest = max([*read, *layers], default=-1)
        taken: dict[int, Tensor] = {}
        kept: dict[int, Tensor] = {}

        def take(layer: int, residual: Float[Tensor, "batch tokens d_model"]) -> None:
            if layer in read:
                taken[layer] = read[layer].scalars(residual if every else residual[:, -1:])
            if layer in layers:
                kept[layer] = residual[:, -1].to("cpu", torch.float32, copy=True)
            if only_read and layer == deepest:
                raise _Enough

        logits = None
        with edit(self._model, edits), capture(self._model, sorted({*read, *layers}), take):
            try:
                logits = self._run(ids, positions, mask, cache, self._last)[:, -1]
            except _Enough:
                pass
        return Outcome(logits, {layer: scalars.cpu().numpy() for layer, scalars in taken.items()}, kept)

    def logits(
        self,
        ids: Int[Tensor, "batch tokens"],
        positions: Int[Tensor, "batch tokens"],
        cache: Cache | None,
        edits: Mapping[int, Edit],
        columns: tuple[int, int],
        rows: int = 1,
    ) -> Float[Tensor, "rows columns vocab"]:
        """The logits of a range of columns, of rows that are padded on the right or not at all.

        Args:
            ids: the tokens.
            positions: each token's place in its own row; -1 for padding. On the CPU.
            cache: what comes before, without padding; grows by these tokens.
            edits: per layer, what steers this forward.
            columns: first column and the one after the last.
            rows: over 1, the one row given is so many from the first layer edited on; the cache holds one
                row up to that layer and so many beyond it.
        """
        kept, first, end = self._kept(ids.shape[1], columns)
        with self._in_place(edits, rows):
            return self._run(ids, positions, None, cache, kept)[:, first:end]

    def last(
        self,
        ids: Int[Tensor, "batch tokens"],
        positions: Int[Tensor, "batch tokens"],
        cache: Cache | None,
        edits: Mapping[int, Edit],
        ends: Sequence[int],
        rows: int = 1,
    ) -> Float[Tensor, "rows vocab"]:
        """The logits at one column of each row, of rows that are padded on the right or not at all.

        Args:
            ids: the tokens.
            positions: each token's place in its own row; -1 for padding. On the CPU.
            cache: what comes before, without padding; grows by these tokens.
            edits: per layer, what steers this forward.
            ends: the column wanted of each row.
            rows: as in `logits`.
        """
        start = min(ends)
        kept, first, _ = self._kept(ids.shape[1], (start, max(ends) + 1))
        own = [end - start + first for end in ends]
        with self._in_place(edits, rows), _only(self._model, own) as picked:
            logits = self._run(ids, positions, None, cache, kept)
        return logits[:, 0] if picked else logits[torch.arange(len(own)), torch.tensor(own)]

    def _kept(self, width: int, columns: tuple[int, int]) -> tuple[Mapping[str, Any], int, int]:
        """What tells the network of which columns the logits are wanted, and where these stand in its own."""
        first, end = columns
        if not self._last:
            return {}, first, end
        device = self._model.device
        wanted: Any = width - first if end == width else torch.arange(first, end, device=device)
        return {"logits_to_keep": wanted}, 0, end - first

    @contextmanager
    def _in_place(self, edits: Mapping[int, Edit], rows: int) -> Iterator[None]:
        one = repeat(self._model, min(edits), rows) if rows > 1 else nullcontext()
        with edit(self._model, edits), one:
            yield

    def _run(
        self,
        ids: Int[Tensor, "batch tokens"],
        positions: Int[Tensor, "batch tokens"],
        mask: Bool[Tensor, "batch length"] | None,
        cache: Cache | None,
        kept: Mapping[str, Any],
    ) -> Float[Tensor, "rows kept vocab"]:
        device = self._model.device
        places = {"position_ids": positions.clamp(min=0).to(device)} if self._places else {}
        out = self._model.network(
            input_ids=ids.to(device),
            attention_mask=None if mask is None else mask.to(device),
            use_cache=cache is not None,
            **{self._cache: cache},
            **places,
            **kept,
        )
        logits: Tensor = out.logits
        return logits


@contextmanager
def _only(model: Model, ends: Sequence[int]) -> Iterator[list[bool]]:
    """While entered, the network's head makes the logits of one column of each row; filled once it has.

    The head is much of a small network, and rows of unlike length end in unlike columns.
    """
    head = model.network.get_output_embeddings()  # type: ignore[no-untyped-call]
    picked: list[bool] = []

    def pick(_head: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        hidden = given[0]
        if picked or not isinstance(hidden, Tensor) or hidden.ndim != 3 or len(hidden) != len(ends):
            return None
        picked.append(True)
        rows, columns = (torch.tensor(of, device=hidden.device) for of in (range(len(ends)), ends))
        return (hidden[rows, columns][:, None], *given[1:])

    handle = head.register_forward_pre_hook(pick) if isinstance(head, nn.Module) else None
    try:
        yield picked
    finally:
        if handle is not None:
            handle.remove()
