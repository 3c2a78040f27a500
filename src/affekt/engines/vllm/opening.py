"""Opening vLLM with Affekt's worker, vectors and channel."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from affekt.engines.vllm.channel import Inbox
from affekt.engines.vllm.driver import Driver
from affekt.engines.vllm.fitting import OWN, fit
from affekt.engines.vllm.kernels import check_kernels
from affekt.engines.vllm.origin import origin
from affekt.engines.vllm.served import Served
from affekt.engines.vllm.versions import check_version, installed
from affekt.errors import AffektError, ModelError, closest
from affekt.models.fingerprint import file_sha256
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["CPU_CACHE", "Settings", "environment", "open_driver"]

CPU_CACHE = 1 << 30
"""Bytes of the KV cache on a CPU, where vLLM would take most of the memory."""


OURS = ("context", "channel", "in_process", "selfcheck")
"""Arguments of `VLLMEngine` that are not vLLM's."""


@dataclass(frozen=True)
class Settings:
    """How vLLM is opened."""

    batch_size: int
    """Most rows at once."""
    in_process: bool
    """Whether it runs in this process."""
    sibling: bool
    """Whether vectors of another model of the same shape are allowed."""
    channel: str | None
    """Where workers send readings; None is a socket file of this machine."""
    options: Mapping[str, Any]
    """Further arguments of vLLM."""


def open_driver(model: Served, vectors: ConceptVectors | None, settings: Settings) -> Driver:
    """Opens vLLM.

    Raises:
        ModelError: it is not installed, is another version, or cannot open the model.
    """
    check_version(installed())
    own = set(OWN) & set(settings.options)
    if own:
        raise ModelError(f"{', '.join(sorted(own))} is Affekt's to set; leave it out")
    with environment(settings.in_process), _apart_from_the_terminal():
        from vllm.engine.arg_utils import EngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.llm_engine import LLMEngine

        _check_known(settings.options, [each.name for each in fields(EngineArgs)])
        cpu = current_platform.is_cpu()
        if cpu:
            check_kernels(model.identity.name, model.folder)
        inbox = Inbox(settings.channel)
        with tempfile.TemporaryDirectory(prefix="affekt-") as folder:
            file = _saved(vectors, Path(folder))
            told = {
                "vectors": None if file is None else str(file),
                "channel": inbox.address,
                "origin": origin(),
                "sibling": settings.sibling,
            }
            defaults: dict[str, Any] = {
                "model": str(model.folder),
                "dtype": model.identity.dtype,
                "max_model_len": model.context + 1,
                "max_num_seqs": settings.batch_size,
                "max_logprobs": -1,
                "generation_config": "vllm",
                "disable_log_stats": True,
            }
            if cpu:
                defaults["kv_cache_memory_bytes"] = CPU_CACHE
            try:
                arguments = EngineArgs(
                    **{**defaults, **settings.options, **fit(told)},
                )
                engine = LLMEngine.from_engine_args(arguments)
            except AffektError:
                inbox.close()
                raise
            except Exception as error:
                inbox.close()
                raise ModelError(f"vLLM cannot open {model.identity.name}: {_cause(error)}") from error
            return Driver(engine, inbox, "" if file is None else file_sha256(file))


def _check_known(options: Iterable[str], names: Sequence[str]) -> None:
    for option in options:
        if option not in names:
            raise ModelError(f"vLLM has no argument {option!r}{closest(option, [*names, *OURS])}")


def _saved(vectors: ConceptVectors | None, folder: Path) -> Path | None:
    """The vectors as a file that the workers read while they load."""
    return None if vectors is None else vectors.save(folder / "vectors.safetensors")


@contextmanager
def environment(in_process: bool) -> Iterator[None]:
    """What vLLM takes from the environment only, for as long as it opens."""
    wanted = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0" if in_process else "1",
        "VLLM_USE_V2_MODEL_RUNNER": "0",
        "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "ERROR"),
        "VLLM_NO_USAGE_STATS": "1",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _apart_from_the_terminal() -> Iterator[None]:
    """Processes that are started meanwhile do not hear Ctrl-C, which a terminal sends to all: vLLM would end
    at once where a server lets replies finish. This process hears it, by a thread that listens."""
    # What keeps track of shared memory is started with the first process, and lets Ctrl-C in again.
    resource_tracker.ensure_running()
    over = threading.Event()
    listening = threading.Thread(target=over.wait, name="affekt-interrupts", daemon=True)
    listening.start()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        over.set()


def _cause(error: BaseException) -> str:
    """The first line of what was at the bottom of it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
