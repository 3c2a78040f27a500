"""What every verb of the vLLM engine shares on this side: the model, its vectors, their read-outs."""

from __future__ import annotations

import torch

from affekt.engines.transformers.probe import Probe
from affekt.engines.vllm.served import Served
from affekt.errors import VectorsError
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["Front"]


class Front:
    """An engine's inside, as rows and requests know it."""

    kind = "paged"
    joins = True
    linear = False

    def __init__(self, model: Served, vectors: ConceptVectors | None) -> None:
        self.model = model
        self.vectors = vectors
        self._probes: dict[int, Probe] = {}

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end a reply."""
        return self.model.ends

    @property
    def specials(self) -> frozenset[int]:
        """The tokens that are no text."""
        return self.model.specials

    def required(self, what: str) -> ConceptVectors:
        """The vectors; VectorsError where there are none."""
        if self.vectors is None:
            raise VectorsError(f"{what} needs concept vectors; open the engine with vectors")
        return self.vectors

    def probe(self, layer: int | None = None) -> Probe:
        """The read-out of all concepts at a layer, to make z of what workers send; VectorsError."""
        vectors = self.required("reading")
        layer = vectors.read_layer if layer is None else layer
        if layer not in self._probes:
            self._probes[layer] = Probe(vectors.readout(layer), vectors.names, torch.device("cpu"))
        return self._probes[layer]
