"""Affekt beside an `AsyncLLM` of one's own: requests that are steered, and readings with their tokens."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from affekt.engines.transformers.probe import Probe
from affekt.engines.transformers.ready import columns_of
from affekt.engines.vllm.channel import Inbox
from affekt.engines.vllm.fitting import fit, reading_ends
from affekt.engines.vllm.late import late_order, salted
from affekt.engines.vllm.listening import Heard, Listener
from affekt.engines.vllm.order import FIELD
from affekt.engines.vllm.origin import origin
from affekt.engines.vllm.versions import check_version, installed
from affekt.errors import AffektError, PromptError
from affekt.models.fingerprint import file_sha256
from affekt.vectors.conceptvectors import ConceptVectors
from affekt.vectors.readout import POSITIONS

__all__ = ["Companion", "Written", "arguments"]

WAIT = 10.0
"""Seconds that a reading may come after the reply is whole."""


def arguments(vectors: str | Path, *, channel: str | None = None, sibling: bool = False) -> dict[str, Any]:
    """What vLLM's `AsyncEngineArgs` is given beside the model: `AsyncEngineArgs(model=M, **arguments(FILE))`.

    `VLLM_USE_V2_MODEL_RUNNER=0` must be in the environment; workers refuse to start without it.

    Args:
        vectors: a vectors file of this model.
        channel: where workers send readings: a `tcp://` address where they run on other machines; by default
            a socket file of this machine.
        sibling: allow vectors of another model of the same shape.

    Raises:
        ModelError: vLLM is not installed, or is another version.
    """
    check_version(installed())
    told = {
        "vectors": str(Path(vectors).resolve()),
        "channel": channel or f"ipc://{tempfile.mkdtemp(prefix='affekt-')}/readings",
        "sibling": sibling,
        "origin": origin(),
    }
    return fit(told)


@dataclass(frozen=True)
class Written:
    """What vLLM says of a reply at a time, and the readings that came with it."""

    output: Any
    """vLLM's `RequestOutput`, as `SamplingParams.output_kind` asks for it."""
    readings: Mapping[int, Float[np.ndarray, " concepts"]] = field(default_factory=dict)
    """z of the concepts asked for, by the token's index in the reply, each told once. A token is read when it
    has run, so its reading comes with the next; vLLM ends a row when its last token is chosen, so that one
    has none."""
    missing: tuple[int, ...] = ()
    """At the reply's end: tokens whose reading was lost."""


class Companion:
    """Steers and reads requests of an `AsyncLLM` that was opened with `arguments`. One for each; used on the
    event loop that the `AsyncLLM` runs on."""

    def __init__(self, llm: Any) -> None:
        """Takes the open `AsyncLLM`.

        Raises:
            ModelError: it runs without Affekt's worker, so that nothing would be steered.
        """
        mend = "open it with AsyncEngineArgs(model=..., **affekt.engines.vllm.arguments(vectors))"
        vectors, channel = reading_ends(llm.vllm_config, "AsyncLLM", mend)
        self._llm = llm
        self._vectors = ConceptVectors.load(vectors)
        self._hash = file_sha256(Path(vectors))
        self._probe = Probe(self._vectors.readout(), self._vectors.names, torch.device("cpu"))
        self._listener = Listener(Inbox(channel))

    async def generate(
        self,
        prompt: str | Sequence[int],
        params: Any,
        request_id: str | None = None,
        *,
        emotion_bias: Mapping[str, Any] | None = None,
        emotions: Sequence[str] = (),
        chat: bool = True,
        **options: Any,
    ) -> AsyncIterator[Written]:
        """One reply; leaving early ends it.

        Args:
            prompt: a text, or token ids.
            params: vLLM's `SamplingParams`.
            request_id: its name in vLLM; by default one of its own.
            emotion_bias: what steers it; its `where` may be `both`, `prompt`, `reply`, `first` or `last`.
            emotions: concepts that are read, in the order of `Written.readings`.
            chat: whether the prompt is a chat with its template, so that the reply is the assistant's.
            options: further arguments of `AsyncLLM.generate`.

        Raises:
            UnknownConcept, BiasError: for concepts or a bias that cannot be meant.
            PromptError: for readings of several replies at once.
            AffektError: a worker refused the order.
        """
        columns = columns_of(tuple(emotions), self._vectors) if emotions else ()
        order = late_order(self._vectors, emotion_bias, bool(columns), chat)
        if columns and params.n != 1:
            raise PromptError("emotions are read of one reply; leave out n, or ask again")
        text = isinstance(prompt, str)
        asked: dict[str, Any] = {"prompt": prompt} if text else {"prompt_token_ids": [*prompt]}
        params = params.clone()
        if order is not None:
            params.extra_args = {**(params.extra_args or {}), FIELD: order.to_json()}
            salt = salted(order, self._hash, "")
            asked |= {"cache_salt": salt} if salt else {}
        name = request_id or f"affekt-{secrets.token_hex(8)}"
        heard = Heard() if order is None else self._listener.listen(order.key)
        kind, told, written = POSITIONS.index("reply" if chat else "text"), 0, 0
        try:
            async for output in self._llm.generate(asked, params, name, **options):
                if not columns:
                    self._hear(heard)
                    yield Written(output)
                    continue
                count = len(output.outputs[0].token_ids)
                written = count if _whole(params) else written + count
                start = len(output.prompt_token_ids)
                wanted = range(start, start + written - 1)
                if output.finished:
                    await self._listener.wait(heard, wanted, WAIT)
                self._hear(heard)
                found = {
                    place - start: self._probe.z(heard.readings[place], kind)[list(columns)]
                    for place in wanted[told:]
                    if place in heard.readings
                }
                told = max(found, default=told - 1) + 1
                lost = heard.missing(wanted) if output.finished else []
                yield Written(output, found, tuple(place - start for place in lost))
        finally:
            if order is not None:
                self._listener.leave(order.key)

    def close(self) -> None:
        """Frees the channel; the `AsyncLLM` is its owner's to shut down."""
        self._listener.close()

    def _hear(self, heard: Heard) -> None:
        self._listener.hear()
        if heard.refused:
            raise AffektError(f"a worker refused the order: {heard.refused}")


def _whole(params: Any) -> bool:
    """Whether every output has all tokens so far."""
    return str(params.output_kind.name) != "DELTA"
