"""Tiny models on disk, and both engines on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from affekt.engines import Reply, Token, TransformersEngine
from affekt.models import load
from affekt.models.model import Model
from tests.engines.small import vectors_for
from tests.models import tiny_network, tiny_tokenizer

__all__ = ["SHARE", "both", "needs_vllm", "replies_of", "saved"]

SIZES = dict(hidden_size=64, intermediate_size=128, num_attention_heads=2, num_key_value_heads=1, head_dim=32)
"""vLLM's attention wants heads of at least 32."""

WIDE: dict[str, dict[str, Any]] = {
    "gpt2": dict(n_embd=64, n_head=2),
    "gemma2": SIZES | dict(query_pre_attn_scalar=32, sliding_window=64),
    "gpt_neox": dict(hidden_size=64, intermediate_size=128, num_attention_heads=2),
}

SHARE: dict[str, Any] = {"gpu_memory_utilization": 0.2} if torch.cuda.is_available() else {}
"""Of a GPU's memory: two engines are open at once, and the transformers engine beside them."""

needs_vllm = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("vllm") is None,
    reason="vLLM is not installed here; make test-vllm runs these tests in an environment that has it",
)


def saved(folder: Path, family: str = "llama", seed: int = 0) -> Path:
    """A tiny model's files."""
    tiny_network(family, seed, **WIDE.get(family, SIZES)).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@contextmanager
def both(folder: Path, **options: Any) -> Iterator[tuple[Any, TransformersEngine]]:
    """The vLLM engine and the transformers engine on one model, float32."""
    from affekt.engines.vllm import VLLMEngine

    model: Model = load(str(folder), dtype="float32")
    vectors = vectors_for(model)
    one = VLLMEngine(str(folder), vectors, **{"dtype": "float32", "context": 512, **SHARE, **options})
    try:
        yield one, TransformersEngine(model, vectors)
    finally:
        one.close()


def replies_of(one: Any, requests: Any) -> tuple[list[Reply], dict[tuple[str, int], list[Token]]]:
    """The replies in the order of requests and choices, and each one's tokens."""
    from tests.engines.small import answers

    return answers(one, requests)
