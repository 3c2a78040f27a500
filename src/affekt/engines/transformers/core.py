"""What every verb of the engine shares: model, vectors, read-outs, what the cache can do, and whose turn it
is."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property

import torch
from transformers.cache_utils import Cache

from affekt.engines.transformers import kv
from affekt.engines.transformers.forward import Forward
from affekt.engines.transformers.pad import default_budget
from affekt.engines.transformers.probe import Probe
from affekt.errors import VectorsError
from affekt.models.model import Model
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["Core"]


class Core:
    """An engine's inside."""

    def __init__(
        self, model: Model, vectors: ConceptVectors | None, budget: int | None, cache: kv.CacheKind
    ) -> None:
        self.model = model
        self.vectors = vectors
        self.budget = default_budget(model.device) if budget is None else budget
        """Most tokens of one forward without cache, padding included."""
        self.forward = Forward(model)
        self.kind = cache
        self._lock = threading.RLock()
        self._probes: dict[int, Probe] = {}

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One thread's turn with the network. Hooks are state of it: two forwards at once would share
        them."""
        with self._lock, torch.inference_mode():
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

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens that end a reply."""
        configured = getattr(self.model.network.generation_config, "eos_token_id", None)
        return frozenset(_ids(configured) | _ids(self.model.tokenizer.eos_token_id))

    @cached_property
    def specials(self) -> frozenset[int]:
        """The tokens that are no text."""
        added = self.model.tokenizer.added_tokens_decoder
        named = {id for id, token in added.items() if token.special}
        return frozenset(named | set(self.model.tokenizer.all_special_ids)) | self.ends

    def required(self, what: str) -> ConceptVectors:
        """The vectors; VectorsError where there are none."""
        if self.vectors is None:
            raise VectorsError(f"{what} needs concept vectors; open the engine with vectors")
        return self.vectors

    def probe(self, layer: int | None = None) -> Probe:
        """The read-out of all concepts at a layer, on the model's device; VectorsError."""
        vectors = self.required("reading")
        layer = vectors.read_layer if layer is None else layer
        if layer not in self._probes:
            self._probes[layer] = Probe(vectors.readout(layer), vectors.names, self.model.device)
        return self._probes[layer]


def _ids(value: int | Iterable[int] | None) -> set[int]:
    if value is None:
        return set()
    return {value} if isinstance(value, int) else set(value)
