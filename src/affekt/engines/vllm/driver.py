"""One vLLM engine and its channel: rows go in, tokens and readings come out; several threads may use it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from jaxtyping import Float

from affekt.engines.vllm.channel import Inbox
from affekt.engines.vllm.order import FIELD, Order
from affekt.errors import AffektError, ModelError, PromptError, ReadingError

__all__ = ["Driver", "Run"]

log = logging.getLogger("affekt.vllm")

WAIT = 20.0
"""Seconds that a reading may come after its token; then it is missing."""


@dataclass(eq=False)
class Run:
    """One row in vLLM, from its prompt to its last token."""

    key: str
    """Its name there."""
    outputs: deque[Any] = field(default_factory=deque)
    """What vLLM has said of it and nobody has looked at: `RequestOutput`s."""
    readings: dict[int, Float[np.ndarray, " scalars"]] = field(default_factory=dict)
    """Per position, what has been read there."""
    collected: dict[int, Float[np.ndarray, "rows d_model"]] = field(default_factory=dict)
    """Per layer, residuals."""
    finished: bool = False
    """Whether vLLM has no more to say of it."""
    refused: str = ""
    """Why a worker did not do what was ordered."""


class Driver:
    """Steps a vLLM engine. One thread at a time does, for all of them."""

    def __init__(self, engine: Any, inbox: Inbox, vectors: str) -> None:
        """Takes an open `LLMEngine`, the channel that its workers send on, and a hash of their vectors."""
        self._engine, self._inbox, self._vectors = engine, inbox, vectors
        self._runs: dict[str, Run] = {}
        self._numbers = count()
        self._lock = threading.RLock()
        self.broken: str = ""
        """Why it can do no more; empty while it can."""

    @property
    def config(self) -> Any:
        """vLLM's own configuration."""
        return self._engine.vllm_config

    def key(self) -> str:
        """A name that no other row has."""
        return f"affekt-{next(self._numbers)}"

    def submit(self, ids: Sequence[int], params: Any, order: Order) -> Run:
        """Hands a row in.

        Args:
            ids: its tokens so far.
            params: vLLM's `SamplingParams`; the order is put into its extra arguments.
            order: what is done with the row.

        Raises:
            PromptError: for a prompt that vLLM refuses.
            ModelError: the engine or one of its workers has died.
        """
        context = self.config.model_config.max_model_len
        if len(ids) >= context:
            raise PromptError(f"{len(ids):,} tokens; vLLM takes {context - 1:,} here and writes one")
        params.extra_args = {FIELD: order.to_json()}
        prompt: dict[str, Any] = {"prompt_token_ids": list(ids)}
        salt = order.salt(self._vectors)
        if salt is not None:
            prompt["cache_salt"] = salt
        run = Run(order.key)
        with self._lock:
            self._alive()
            self._runs[order.key] = run
            try:
                self._engine.add_request(order.key, prompt, params)
            except ValueError as error:
                del self._runs[order.key]
                raise PromptError(f"vLLM refuses the request: {error}") from error
            except Exception as error:
                del self._runs[order.key]
                raise self._died(error) from error
        return run

    def abort(self, runs: Sequence[Run]) -> None:
        """Ends rows where they are; nothing more comes of them."""
        with self._lock:
            names = [run.key for run in runs if self._runs.pop(run.key, None) and not run.finished]
            for run in runs:
                run.finished = True
            if names and not self.broken:
                self._guarded(lambda: self._engine.abort_request(names))

    def pump(self) -> None:
        """One step of the engine; what comes out is put to its runs.

        Raises:
            ModelError: the engine or one of its workers has died.
        """
        with self._lock:
            self._alive()
            if not self._engine.has_unfinished_requests():
                self._hear(0.0)
                return
            for output in self._guarded(self._engine.step):
                run = self._runs.get(output.request_id)
                if run is not None:
                    run.outputs.append(output)
                    run.finished |= output.finished
            self._hear(0.0)

    def reading(self, run: Run, position: int) -> Float[np.ndarray, " scalars"]:
        """What was read of a row at a position. It comes before the token after it, or shortly after.

        Raises:
            ReadingError: it did not come. No other position's reading stands in for it.
        """
        with self._lock:
            if position not in run.readings:
                self._await(run, lambda: position in run.readings)
            if run.refused:
                raise AffektError(run.refused)
            if position not in run.readings:
                raise ReadingError(
                    f"the reading of token {position} did not come from vLLM's worker within {WAIT:g} s "
                    f"({self._inbox.lost} messages lost)"
                )
            return run.readings[position]

    def residuals(self, run: Run, layers: Sequence[int]) -> list[Float[np.ndarray, "rows d_model"]]:
        """What was collected of a row that is over, per layer; raises ReadingError."""
        with self._lock:
            self._await(run, lambda: all(layer in run.collected for layer in layers))
            if run.refused:
                raise AffektError(run.refused)
            missing = [layer for layer in layers if layer not in run.collected]
            if missing:
                raise ReadingError(f"no residuals of layer {missing[0]} came from vLLM's workers")
            return [run.collected[layer] for layer in layers]

    def forget(self, run: Run) -> None:
        """Lets go of a run that is over."""
        with self._lock:
            self._runs.pop(run.key, None)

    def call(self, method: str, *args: Any) -> list[Any]:
        """Calls a method of every worker."""
        with self._lock:
            self._alive()
            found: list[Any] = self._guarded(lambda: self._engine.collective_rpc(method, args=args))
            return found

    def use(self, file: str | None, vectors: str) -> None:
        """Makes all workers read and steer with the vectors of a file."""
        self.call("affekt_vectors", file)
        self._vectors = vectors

    def close(self) -> None:
        """Ends the engine and its processes."""
        with self._lock:
            self.broken = self.broken or "the engine is closed"
            core = getattr(self._engine, "engine_core", None)
            if core is not None:
                core.shutdown()
            self._inbox.close()

    def _alive(self) -> None:
        if self.broken:
            raise ModelError(self.broken)

    def _guarded(self, work: Any) -> Any:
        try:
            return work()
        except Exception as error:
            raise self._died(error) from error

    def _died(self, error: Exception) -> ModelError:
        first = next(iter(str(error).splitlines()), "")
        self.broken = f"vLLM's engine or one of its workers has died: {type(error).__name__}: {first}"
        log.error("%s", self.broken)
        return ModelError(self.broken)

    def _await(self, run: Run, there: Any) -> None:
        waited = 0.0
        while not there() and not run.refused and waited < WAIT:
            self._hear(0.5)
            waited += 0.5

    def _hear(self, seconds: float) -> None:
        for header, values in self._inbox.receive(seconds):
            if header["kind"] == "refused":
                self._refused(header)
            elif header["kind"] == "collect" and values is not None and header["key"] in self._runs:
                self._runs[header["key"]].collected[header["layer"]] = values
            elif header["kind"] == "read" and values is not None:
                at = 0
                for key, first, number in header["rows"]:
                    run = self._runs.get(key)
                    if run is not None:
                        run.readings |= zip(
                            range(first, first + number), values[at : at + number], strict=True
                        )
                    at += number

    def _refused(self, header: dict[str, Any]) -> None:
        for key, run in self._runs.items():
            if f'"{key}"' in str(header["order"]):
                run.refused = f"a worker refused the order: {header['why']}"
