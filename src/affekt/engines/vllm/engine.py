"""The engine that runs a model in vLLM: many requests at once, on one machine or several."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from transformers import PreTrainedTokenizerBase

from affekt.concepts.source import Source
from affekt.engines.batch import answers
from affekt.engines.desk import Desk
from affekt.engines.engine import BiasLike, Collected, Reply, Request
from affekt.engines.token import Token
from affekt.engines.transformers.ready import biases_of, columns_of, encoded_of, known_ids, parsed
from affekt.engines.vllm import verbs
from affekt.engines.vllm.batch import Batch
from affekt.engines.vllm.check import check
from affekt.engines.vllm.driver import Driver
from affekt.engines.vllm.opening import Settings, open_driver
from affekt.engines.vllm.served import Served, served
from affekt.errors import AffektError, ModelError, PromptError
from affekt.models.model import Identity
from affekt.models.prompt import Encoded
from affekt.reading.reading import Reading
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["VLLMEngine"]


class VLLMEngine:
    """Runs a model by vLLM; the same verbs as the transformers engine, and the same numbers to rounding.

    Several threads may use one engine. An engine whose vLLM has died opens it again when it is next used."""

    def __init__(
        self,
        model: str | Served,
        vectors: ConceptVectors | None = None,
        *,
        sibling: bool = False,
        dtype: str = "auto",
        context: int | None = None,
        batch_size: int = 16,
        in_process: bool = False,
        selfcheck: bool = True,
        channel: str | None = None,
        **options: Any,
    ) -> None:
        """Opens vLLM and checks that it can be read and steered.

        Args:
            model: a name as `load` takes it, or what `served` gives.
            vectors: concept vectors; only what neither reads nor steers does without.
            sibling: allow vectors of another model of the same shape.
            dtype: as `load` takes it.
            context: a shorter context than the model's own, which saves memory.
            batch_size: most replies written at once.
            in_process: run the model in this process: quicker to open, but a crash takes this process along.
            selfcheck: whether the self-check runs; without it, wrong readings may go unseen.
            channel: where workers send readings: where they run on other machines, such as
                `tcp://10.0.0.1:5777`, an address of this one; by default a socket file.
            options: further arguments of vLLM, such as `tensor_parallel_size` or `quantization`.

        Raises:
            ModelError: vLLM is not installed, is another version, or cannot open the model.
            SelfCheckError: for a model whose residual stream is not where it must be.
            VectorsError: for vectors of another model.
        """
        self.model = model if isinstance(model, Served) else served(model, dtype, context)
        if vectors is not None:
            vectors.require(self.model.identity, sibling)
        self.vectors = vectors
        self._desk = Desk(self.model, vectors, self.model.ends, "paged")
        self._settings = Settings(batch_size, in_process, sibling, channel, options)
        self._selfcheck = selfcheck
        self._opening = threading.Lock()
        self._closed = False
        self._driver = open_driver(self.model, vectors, self._settings)
        self._checked()

    @property
    def identity(self) -> Identity:
        """Of the model."""
        return self.model.identity

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The model's."""
        return self.model.tokenizer

    @property
    def context(self) -> int:
        """The longest sequence it takes, in tokens."""
        return self.model.context

    @property
    def joins(self) -> bool:
        """Whether a request may join others that are running; vLLM always lets it."""
        return True

    def collect(
        self,
        sources: Sequence[Source | Encoded],
        layers: Sequence[int],
        pick: Callable[[Encoded], Sequence[int]],
        mean: bool = True,
    ) -> Iterator[Collected]:
        """Residuals after each of `layers` at the tokens that `pick` chooses, sources in any order.

        Raises:
            PromptError: for a source that is empty or longer than the context; says which one.
            IndexError: for a layer that the model has not.
        """
        return verbs.collect(self._desk, self._alive(), sources, layers, pick, mean)

    def read(
        self,
        sources: Sequence[Source | Encoded],
        concepts: Sequence[str] | None = None,
        layer: int | None = None,
        bias: BiasLike = None,
        *,
        generation_prompt: bool = False,
    ) -> list[Reading]:
        """Every token of every source, read out under a bias; see `TransformersEngine.read`."""
        vectors = self._desk.required("reading")
        columns = columns_of(concepts, vectors)
        texts = [encoded_of(self.model, source, generation_prompt) for source in sources]
        return verbs.read(self._desk, self._alive(), texts, parsed(bias, vectors), layer, columns)

    def generate(self, requests: Sequence[Request]) -> Iterator[Token | Reply]:
        """Tokens of all requests as they come, and a `Reply` at the end of each reply.

        Every request is checked before the first is answered. Closing the iterator ends everything. On
        Ctrl-C, what is finished is still given before KeyboardInterrupt is raised.

        Raises:
            PromptError, BiasError, UnknownConcept, VectorsError: for a request that is wrong.
            ModelError: vLLM has died.
        """
        return answers(self.open_batch(), requests)

    def score(
        self,
        prompts: Sequence[Source | Encoded],
        continuations: Sequence[str | Sequence[int]],
        bias: BiasLike | Sequence[BiasLike] = None,
    ) -> list[Float[np.ndarray, " tokens"]]:
        """Natural log-probability of each token of each continuation; see `TransformersEngine.score`."""
        if len(prompts) != len(continuations):
            raise PromptError(f"{len(continuations)} continuations for {len(prompts)} prompts")
        biases = biases_of(bias, len(prompts), self.vectors)
        encoded = [encoded_of(self.model, prompt, True) for prompt in prompts]
        return verbs.score(self._desk, self._alive(), encoded, continuations, biases)

    def next_token(
        self,
        prompts: Sequence[Source | Encoded],
        bias: BiasLike | Sequence[BiasLike] = None,
        ids: Sequence[int] | None = None,
    ) -> Float[np.ndarray, "prompts tokens"]:
        """Natural log-probabilities of the token after each prompt; see `TransformersEngine.next_token`."""
        ids = None if ids is None else known_ids(self.model, ids)
        biases = biases_of(bias, len(prompts), self.vectors)
        encoded = [encoded_of(self.model, prompt, True) for prompt in prompts]
        driver = self._alive()
        vocabulary = int(driver.config.model_config.get_vocab_size())
        return verbs.next_token(self._desk, driver, encoded, biases, ids, vocabulary)

    def open_batch(self) -> Batch:
        """A batch that requests are added to and cancelled in while it runs, for a server."""
        return Batch(self._desk, self._alive)

    def state(self) -> list[dict[str, Any]]:
        """What each worker has found: its decoder layers, whether their residual is in two parts."""
        found: list[dict[str, Any]] = self._alive().call("affekt_state")
        return found

    def close(self) -> None:
        """Ends vLLM and its processes, for good."""
        with self._opening:
            self._closed = True
            self._driver.close()

    def _alive(self) -> Driver:
        with self._opening:
            if self._closed:
                raise ModelError("the engine is closed; open another")
            if self._driver.broken:
                self._driver.close()
                self._driver = open_driver(self.model, self.vectors, self._settings)
                self._checked()
            return self._driver

    def _checked(self) -> None:
        try:
            if self._selfcheck:
                check(self.model, self._driver)
        except AffektError:
            self._driver.close()
            raise
