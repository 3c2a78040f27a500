"""vLLM's worker for GPUs, instrumented: `--worker-cls affekt.engines.vllm.gpu_worker.GPUWorker`."""

from __future__ import annotations

from vllm.v1.worker import gpu_worker

from affekt.engines.vllm.worker import Instrumented

__all__ = ["GPUWorker"]


class GPUWorker(Instrumented, gpu_worker.Worker):  # type: ignore[misc]
    """Runs a model's shard on a GPU, and steers and reads it."""
