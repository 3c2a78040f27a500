"""How Affekt's worker is put into a vLLM, and what an open vLLM says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affekt.errors import ModelError

__all__ = ["CONFIG", "OWN", "asked_of", "fit", "reading_ends"]

CONFIG = "affekt"
"""The key in vLLM's `additional_config`: `{"affekt": {"vectors": FILE, "channel": ADDRESS}}`. Two more may be
there: `"sibling": true` allows vectors of another model of the same shape, and `"origin"` is a process that
workers end with."""

OWN = ("enforce_eager", "worker_cls", "additional_config")
"""Arguments of vLLM that are Affekt's to set."""


def fit(told: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of vLLM that put Affekt's worker in.

    Args:
        told: what the worker is told, under the keys of `CONFIG`.
    """
    from vllm.platforms import current_platform

    kind = "cpu_worker.CPUWorker" if current_platform.is_cpu() else "gpu_worker.GPUWorker"
    own = (True, f"affekt.engines.vllm.{kind}", {CONFIG: dict(told)})
    return dict(zip(OWN, own, strict=True))


def asked_of(config: Any) -> Mapping[str, Any]:
    """What workers are told by vLLM's configuration; empty where that is nothing."""
    told: Mapping[str, Any] = (config.additional_config or {}).get(CONFIG, {})
    return told


def reading_ends(config: Any, what: str, mend: str) -> tuple[str, str]:
    """The vectors file and the channel of an open vLLM.

    Args:
        config: its configuration.
        what: what the user calls it.
        mend: how it is opened rightly.

    Raises:
        ModelError: it runs without Affekt's worker, so that nothing would be steered; or with several API
            servers.
    """
    told = asked_of(config)
    instrumented = str(config.parallel_config.worker_cls).startswith("affekt.")
    if not instrumented or not told.get("vectors") or not told.get("channel"):
        raise ModelError(
            f"this {what} runs without Affekt's worker or without vectors, so nothing would be steered; "
            f"{mend}"
        )
    servers = getattr(config.parallel_config, "_api_process_count", 1)
    if servers > 1:
        raise ModelError(
            f"this {what} has {servers} API servers, and readings reach one of them only; start it with "
            "--api-server-count 1"
        )
    return str(told["vectors"]), str(told["channel"])
