"""An engine's inside, as verbs, requests and replies being written know it."""

from __future__ import annotations

from collections.abc import Set

from affekt.engines.engine import Opened
from affekt.engines.transformers.probe import Probe
from affekt.errors import VectorsError
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["Desk"]


class Desk:
    """A model, its vectors and their read-outs."""

    def __init__(self, model: Opened, vectors: ConceptVectors | None, ends: Set[int], kind: str) -> None:
        """Takes the tokens that end a reply, and what the engine's cache is called."""
        self.model = model
        self.vectors = vectors
        self.kind = kind
        self.ends = frozenset(ends)
        """The tokens that end a reply."""
        added = model.tokenizer.added_tokens_decoder
        named = {id for id, token in added.items() if token.special}
        self.specials = frozenset(named | set(model.tokenizer.all_special_ids)) | self.ends
        """The tokens that are no text."""
        self._probes: dict[int, Probe] = {}

    @property
    def joins(self) -> bool:
        """Whether rows may join a running batch, and go back in it."""
        return True

    @property
    def linear(self) -> bool:
        """Whether a row that may go back must keep what its layers' states were."""
        return False

    def required(self, what: str) -> ConceptVectors:
        """The vectors; VectorsError where there are none."""
        if self.vectors is None:
            raise VectorsError(f"{what} needs concept vectors; open the engine with vectors")
        return self.vectors

    def probe(self, layer: int | None = None) -> Probe:
        """The read-out of all concepts at a layer, where the model's vectors are made ready; VectorsError."""
        vectors = self.required("reading")
        layer = vectors.read_layer if layer is None else layer
        if layer not in self._probes:
            self._probes[layer] = Probe(vectors.readout(layer), vectors.names, self.model.device)
        return self._probes[layer]
