"""vLLM's worker for CPUs, instrumented: `--worker-cls affekt.engines.vllm.cpu_worker.CPUWorker`."""

from __future__ import annotations

from vllm.v1.worker import cpu_worker

from affekt.engines.vllm.worker import Instrumented

__all__ = ["CPUWorker"]


class CPUWorker(Instrumented, cpu_worker.CPUWorker):  # type: ignore[misc]
    """Runs a model's shard on a CPU, and steers and reads it."""
