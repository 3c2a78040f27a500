"""Which quantised weights vLLM's build for this machine can multiply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from affekt.errors import ModelError

__all__ = ["check_kernels", "four_bits"]

OPERATION = "cpu_gemm_wna16"
"""vLLM's product with weights of 4 bits on a CPU; its build for AVX2 has none."""


def four_bits(folder: Path) -> str:
    """What has packed a model's weights in 4 bits, such as `gptq`; empty where nothing has.

    Args:
        folder: the model's files.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    told: Mapping[str, Any] = config.get("quantization_config") or {}
    groups = [group.get("weights") or {} for group in (told.get("config_groups") or {}).values()]
    bits = {told.get("bits"), told.get("w_bit"), *(weights.get("num_bits") for weights in groups)}
    return str(told.get("quant_method", "")) if 4 in bits else ""


def check_kernels(name: str, folder: Path) -> None:
    """Refuses weights that vLLM would load on this CPU and then die of at the first token.

    Raises:
        ModelError: weights of 4 bits where vLLM's build has no product for them.
    """
    method = four_bits(folder)
    if not method:
        return
    import vllm._custom_ops  # noqa: F401 - loads the operations of this processor's build

    if not hasattr(torch.ops._C, OPERATION):
        raise ModelError(
            f"{name} has weights of 4 bits ({method}), for which vLLM's build for CPUs needs AVX-512, which "
            "this processor has not; run it elsewhere, or give the model in 8 bits or as it was before"
        )
