"""The engine that runs a model in this process by transformers: the embedded default."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from affekt.concepts.source import Source
from affekt.engines.engine import BiasLike, Collected
from affekt.engines.transformers.collect import collect
from affekt.engines.transformers.probe import Probe
from affekt.engines.transformers.read import read
from affekt.engines.transformers.ready import columns_of, encoded_of, parsed, program_of, required
from affekt.models.model import Model
from affekt.models.prompt import Encoded
from affekt.reading.reading import Reading
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["TransformersEngine"]


class TransformersEngine:
    """Runs an opened model on its own device.

    Several threads may use one engine: each forward is one thread's turn. Between two turns no hook is left
    on the network, whatever happened in them."""

    def __init__(
        self,
        model: Model,
        vectors: ConceptVectors | None = None,
        *,
        sibling: bool = False,
        token_budget: int = 8192,
    ) -> None:
        """Checks that vectors and model belong together.

        Args:
            model: the opened model.
            vectors: concept vectors; only `collect`, and what neither reads nor steers, do without.
            sibling: allow vectors of another model of the same shape, as base and tuned are.
            token_budget: most tokens of one forward of `collect`, `read` and `score`, padding included.

        Raises:
            VectorsError: for vectors of another model.
        """
        if vectors is not None:
            vectors.require(model.identity, sibling)
        self.model = model
        self.vectors = vectors
        self._budget = token_budget
        self._turn = threading.RLock()
        self._probes: dict[int, Probe] = {}

    def collect(
        self,
        sources: Sequence[Source | Encoded],
        layers: Sequence[int],
        pick: Callable[[Encoded], Sequence[int]],
        mean: bool = True,
    ) -> Iterator[Collected]:
        """Residuals after each of `layers` at the tokens that `pick` chooses, sources in any order.

        A chat that ends with a user's turn is given its generation prompt.

        Raises:
            PromptError: for a source that is empty or longer than the context; says which one.
            IndexError: for a layer that the model has not.
        """
        return collect(self.model, sources, layers, pick, mean, self._budget, lambda: self._turn)

    def read(
        self,
        sources: Sequence[Source | Encoded],
        concepts: Sequence[str] | None = None,
        layer: int | None = None,
        bias: BiasLike = None,
        *,
        generation_prompt: bool = False,
    ) -> list[Reading]:
        """Every token of every source, read out under a bias; many at once read as each by itself.

        Args:
            sources: texts, chats, or either already encoded.
            concepts: names; None is all.
            layer: None is the vectors' own.
            bias: steers every source, which counts as a prompt.
            generation_prompt: whether chats are read up to where the assistant would begin.

        Raises:
            PromptError: for a source that cannot be read.
            UnknownConcept: for a concept that the vectors do not hold.
            BiasError: for a bias that cannot be applied.
            VectorsError: when the engine has no vectors, or they do not hold the layer.
        """
        vectors = required(self.vectors, "reading")
        columns, probe = columns_of(concepts, vectors), self.probe(layer)
        texts = [encoded_of(self.model, source, generation_prompt) for source in sources]
        one = parsed(bias, vectors)
        programs = [program_of(one, vectors, text, self.model) for text in texts]
        return read(self.model, texts, programs, probe, columns, self._budget, lambda: self._turn)

    def probe(self, layer: int | None = None) -> Probe:
        """The read-out of all concepts at a layer, on the model's device."""
        vectors = required(self.vectors, "reading")
        layer = vectors.read_layer if layer is None else layer
        if layer not in self._probes:
            self._probes[layer] = Probe(vectors.readout(layer), vectors.names, self.model.device)
        return self._probes[layer]
