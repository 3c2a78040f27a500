"""One vLLM engine and its channel: rows go in, tokens and readings come out; several threads may use it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from jaxtyping import Float

from affekt.engines.vllm.channel import Inbox
from affekt.engines.vllm.order import FIELD, Order
from affekt.errors import AffektError, ModelError, PromptError, ReadingError

__all__ = ["TRIES", "Driver", "Run"]

log = logging.getLogger("affekt.vllm")

WAIT = 20.0
"""Seconds that a reading may come after its token; then it is lost."""

TRIES = 3
"""How often a row is handed in anew for what was lost, before its request fails."""

IDLE = 0.05
"""Seconds that a step waits for what is still to come when vLLM has nothing to run."""


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
    asked: float | None = None
    """When something of it was first looked for that was not there; None where all was."""


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
        """One step of the engine, or a short wait where it has nothing to run; what comes is put to its runs.

        Raises:
            ModelError: the engine or one of its workers has died.
        """
        with self._lock:
            self._alive()
            if not self._engine.has_unfinished_requests():
                self._hear(IDLE)
                return
            for output in self._guarded(self._engine.step):
                run = self._runs.get(output.request_id)
                if run is not None:
                    run.outputs.append(output)
                    run.finished |= output.finished
            self._hear(0.0)

    def has(self, run: Run, places: Iterable[int] = (), layers: Iterable[int] = ()) -> bool:
        """Whether what was read at these positions and collected after these layers is there; False while it
        may still come. No other position's reading stands in for one that is not there.

        Raises:
            ReadingError: something is lost: a later position's is there, or it has not come for long.
            AffektError: a worker has refused the order.
        """
        with self._lock:
            places, layers = list(places), list(layers)
            missing = self._missing(run, places, layers)
            if missing and not run.refused:
                self._hear(0.0)
                missing = self._missing(run, places, layers)
            if run.refused:
                raise AffektError(run.refused)
            if not missing:
                run.asked = None
                return True
            now = time.monotonic()
            run.asked = now if run.asked is None else run.asked
            # A worker sends what it reads of a row in the order of its positions.
            last = max(run.readings, default=-1)
            passed = any(at < last and at not in run.readings for at in places)
            if passed or now - run.asked > WAIT:
                raise ReadingError(
                    f"{missing} did not come from vLLM's workers, asked for again {TRIES} times "
                    f"({self._inbox.lost} messages lost)"
                )
            return False

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

    @staticmethod
    def _missing(run: Run, places: Iterable[int], layers: Iterable[int]) -> str:
        """The first thing that is not there, in words; empty where all is."""
        for at in places:
            if at not in run.readings:
                return f"the reading of token {at}"
        for layer in layers:
            if layer not in run.collected:
                return f"the residuals of layer {layer}"
        return ""

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
