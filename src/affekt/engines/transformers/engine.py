"""The engine that runs a model in this process by transformers: the embedded default."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float
from transformers import PreTrainedTokenizerBase

from affekt.concepts.source import Source
from affekt.engines.batch import answers
from affekt.engines.engine import BiasLike, Collected, Reply, Request
from affekt.engines.token import Token
from affekt.engines.transformers.batch import Batch
from affekt.engines.transformers.collect import collect
from affekt.engines.transformers.core import Core
from affekt.engines.transformers.kv import CacheKind
from affekt.engines.transformers.next_token import next_token
from affekt.engines.transformers.read import read
from affekt.engines.transformers.ready import biases_of, columns_of, encoded_of, known_ids, parsed, program_of
from affekt.engines.transformers.score import pair, score
from affekt.errors import PromptError
from affekt.models.model import Identity, Model
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
        batch_size: int = 16,
        token_budget: int | None = None,
        cache_tokens: int = 65536,
        prefill_chunk: int | None = None,
        cache: CacheKind = "dynamic",
    ) -> None:
        """Checks that vectors and model belong together.

        Args:
            model: the opened model.
            vectors: concept vectors; only what neither reads nor steers does without.
            sibling: allow vectors of another model of the same shape, as base and tuned are.
            batch_size: most replies written at once.
            token_budget: most tokens of one forward of `collect`, `read` and `score`, and of the prompts of
                several requests, padding included; None is what the device is fastest with.
            cache_tokens: most tokens of the replies written at once, prompts and padding included.
            prefill_chunk: most tokens of a prompt run at a time; None runs prompts whole.
            cache: `dynamic`, or `static`, which is allocated once and takes in no rows.

        Raises:
            VectorsError: for vectors of another model.
        """
        if vectors is not None:
            vectors.require(model.identity, sibling)
        self.model = model
        self.vectors = vectors
        self._core = Core(model, vectors, token_budget, cache)
        self._limits = (batch_size, cache_tokens, prefill_chunk)

    @property
    def identity(self) -> Identity:
        """Of the opened model."""
        return self.model.identity

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The model's."""
        return self.model.tokenizer

    @property
    def context(self) -> int:
        """The longest sequence the model takes, in tokens."""
        return self.model.context

    @property
    def joins(self) -> bool:
        """Whether a request may join a batch that is running; a network whose cache does not let it waits."""
        return self._core.joins

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
        return collect(self._core, sources, layers, pick, mean)

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
        vectors = self._core.required("reading")
        columns, probe = columns_of(concepts, vectors), self._core.probe(layer)
        texts = [encoded_of(self.model, source, generation_prompt) for source in sources]
        one = parsed(bias, vectors)
        programs = [program_of(one, vectors, text, self.model) for text in texts]
        return read(self._core, texts, programs, probe, columns)

    def generate(self, requests: Sequence[Request]) -> Iterator[Token | Reply]:
        """Tokens of all requests as they come, and a `Reply` at the end of each reply.

        Every request is checked before the first forward. Closing the iterator ends everything. On Ctrl-C,
        what is finished is still given before KeyboardInterrupt is raised.

        Raises:
            PromptError: for a prompt that is empty or too long.
            BiasError: for a bias that cannot be applied.
            UnknownConcept: for a concept that the vectors do not hold.
            VectorsError: for reading, steering or guarding without vectors.
        """
        return answers(self.open_batch(), requests)

    def score(
        self,
        prompts: Sequence[Source | Encoded],
        continuations: Sequence[str | Sequence[int]],
        bias: BiasLike | Sequence[BiasLike] = None,
    ) -> list[Float[np.ndarray, " tokens"]]:
        """Natural log-probability of each token of each continuation after its prompt, under a bias.

        Args:
            prompts: texts, or chats that the assistant replies to; one that several pairs share, none of
                whose biases reaches it or all of whose biases are equal, is run once.
            continuations: one for each prompt: a text, tokenised by itself, or token ids.
            bias: one for all, or one for each pair. It reaches prompt and continuation as it would while
                generating.

        Raises:
            PromptError: for an empty or overlong one, or lists of different lengths.
            BiasError: for a bias that cannot be applied.
        """
        if len(prompts) != len(continuations):
            raise PromptError(f"{len(continuations)} continuations for {len(prompts)} prompts")
        biases = biases_of(bias, len(prompts), self.vectors)
        encoded = [encoded_of(self.model, prompt, True) for prompt in prompts]
        return score(
            self._core,
            [pair(self._core, *each) for each in zip(encoded, continuations, biases, strict=True)],
        )

    def next_token(
        self,
        prompts: Sequence[Source | Encoded],
        bias: BiasLike | Sequence[BiasLike] = None,
        ids: Sequence[int] | None = None,
    ) -> Float[np.ndarray, "prompts tokens"]:
        """Natural log-probabilities of the token after each prompt.

        Args:
            prompts: texts, or chats that the assistant replies to.
            bias: one for all, or one for each prompt.
            ids: the tokens wanted; None is the whole vocabulary.

        Raises:
            PromptError: for a prompt that is empty or too long.
            BiasError: for a bias that cannot be applied.
        """
        ids = None if ids is None else known_ids(self.model, ids)
        biases = biases_of(bias, len(prompts), self.vectors)
        encoded = [encoded_of(self.model, prompt, True) for prompt in prompts]
        programs = [
            program_of(one, self.vectors, prompt, self.model)
            for one, prompt in zip(biases, encoded, strict=True)
        ]
        return next_token(self._core, encoded, programs, ids)

    def open_batch(self) -> Batch:
        """A batch that requests are added to and cancelled in while it runs, for a server."""
        return Batch(self._core, *self._limits)

    def close(self) -> None:
        """Does nothing: the model belongs to whoever opened it."""
