"""What every verb of the engine shares: model, vectors, read-outs, what the cache can do, and whose turn it
is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property

import torch
from transformers.cache_utils import Cache

from affekt.engines.desk import Desk
from affekt.engines.transformers import kv
from affekt.engines.transformers.forward import Forward
from affekt.engines.transformers.pad import default_budget
from affekt.models.model import Model
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["Core"]


class Core(Desk):
    """This engine's inside."""

    model: Model
    kind: kv.CacheKind

    def __init__(
        self, model: Model, vectors: ConceptVectors | None, budget: int | None, cache: kv.CacheKind
    ) -> None:
        super().__init__(model, vectors, _ends(model), cache)
        self.budget = default_budget(model.device) if budget is None else budget
        """Most tokens of one forward without cache, padding included."""
        self.forward = Forward(model)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One thread's turn with the network, whichever engines run it. Hooks are state of it: two forwards
        at once would share them."""
        with self.model.turn, torch.inference_mode():
            yield

    @cached_property
    def joins(self) -> bool:
        """Whether rows may join a running batch, and go back in it."""
        return self.kind == "dynamic" and kv.joins(self.model.network.config)

    @cached_property
    def linear(self) -> bool:
        """Whether some layers keep a state instead of a past."""
        return any(kv.linear(self.new_cache(1)))

    def new_cache(self, length: int, more: int = 0) -> Cache:
        """An empty cache for prompts of `length` columns and replies of `more`."""
        return kv.new_cache(self.model.network.config, self.kind, length, more)


def _ends(model: Model) -> set[int]:
    configured = getattr(model.network.generation_config, "eos_token_id", None)
    return _ids(configured) | _ids(model.tokenizer.eos_token_id)


def _ids(value: int | Iterable[int] | None) -> set[int]:
    if value is None:
        return set()
    return {value} if isinstance(value, int) else set(value)
