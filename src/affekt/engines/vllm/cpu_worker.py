"""vLLM's worker for CPUs, instrumented: `--worker-cls affekt.engines.vllm.cpu_worker.CPUWorker`."""

from __future__ import annotations

from typing import Any

from vllm.distributed import get_pp_group
from vllm.v1.worker import cpu_worker

from affekt.engines.vllm.worker import Instrumented

__all__ = ["CPUWorker"]


class CPUWorker(Instrumented, cpu_worker.CPUWorker):  # type: ignore[misc]
    """Runs a model's shard on a CPU, and steers and reads it."""

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        """Loads the model, and makes room for what comes from the pipeline stage before: vLLM does so in its
        warm-up, which it leaves out on a CPU in eager mode."""
        super().load_model(*args, **kwargs)
        runner = self.model_runner
        if not get_pp_group().is_first_rank and runner.intermediate_tensors is None:
            runner.intermediate_tensors = runner.get_model().make_empty_intermediate_tensors(
                batch_size=runner.max_num_tokens, dtype=runner.model_config.dtype, device=runner.device
            )
