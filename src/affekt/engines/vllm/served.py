"""The model that vLLM runs, as the front end knows it: files, tokenizer and shape, no network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, PreTrainedTokenizerBase

from affekt.errors import ModelError
from affekt.models.cache import cache_folder
from affekt.models.fingerprint import weights_sha256
from affekt.models.machine import choose_dtype
from affekt.models.model import Identity
from affekt.models.opening import tokenizer_of
from affekt.models.variant import split_variant
from affekt.models.weights import Weights, resolve

__all__ = ["Served", "served"]


@dataclass(frozen=True)
class Served:
    """A model whose network is in vLLM's workers."""

    identity: Identity
    """Name, hash, dtype and shape."""
    tokenizer: PreTrainedTokenizerBase
    """Its tokenizer."""
    context: int
    """The longest sequence it takes, in tokens: one less than vLLM runs, which always writes one."""
    folder: Path
    """Its files."""

    @property
    def device(self) -> torch.device:
        """Where this process makes vectors ready, only to check them: those that steer are the workers'."""
        return torch.device("cpu")

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens that end a reply."""
        found: set[int] = set()
        for file in ("generation_config.json", "config.json"):
            with suppress(OSError, ValueError):
                told = json.loads((self.folder / file).read_text(encoding="utf-8")).get("eos_token_id")
                found |= _ids(told)
                if told is not None:
                    break
        return frozenset(found | _ids(self.tokenizer.eos_token_id))


def served(
    name: str, dtype: str = "auto", context: int | None = None, cache: str | Path | None = None
) -> Served:
    """Finds a model's files and says what it is, without opening its network.

    Args:
        name: as `load` takes it; adapters and rounded variants are for the transformers engine.
        dtype: `bfloat16`, `float16`, `float32`, or `auto`: bfloat16 where the machine computes in it.
        context: a shorter context than the model's own, to save memory.
        cache: the folder for fetched models.

    Raises:
        ModelError: for a model that cannot be found, or that only the transformers engine opens.
    """
    plain, variant = split_variant(name)
    if variant is not None:
        raise ModelError(f"{name}: variants are for the transformers engine; here give {plain} and a dtype")
    weights = resolve(plain, cache)
    if weights.adapter is not None:
        raise ModelError(f"{name} is an adapter; the vLLM engine runs merged models, transformers runs it")
    text = _config(weights)
    tokenizer = tokenizer_of(weights)
    own = int(getattr(text, "max_position_embeddings", 0) or tokenizer.model_max_length)
    identity = Identity(
        name=weights.name,
        weights_sha256=weights_sha256(weights.folder, cache_folder(cache)),
        dtype=str(_dtype(dtype)).removeprefix("torch."),
        architecture=str((getattr(text, "architectures", None) or [type(text).__name__])[0]),
        n_layers=int(text.num_hidden_layers),
        d_model=int(text.hidden_size),
    )
    return Served(identity, tokenizer, min(context or own, own) - 1, weights.folder)


def _dtype(asked: str) -> torch.dtype:
    """As `choose_dtype`, without opening a GPU here: vLLM's processes could not be forked from this one then,
    and it would hold memory there."""
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    if not torch.cuda.is_available():
        return choose_dtype(asked, torch.device("cpu"))
    if asked == "auto":
        with suppress(ImportError):
            from vllm.platforms import current_platform

            return torch.bfloat16 if torch.bfloat16 in current_platform.supported_dtypes else torch.float32
    return choose_dtype(asked, torch.device("cuda"))


def _config(weights: Weights) -> Any:
    try:
        whole = AutoConfig.from_pretrained(weights.folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"{weights.name} cannot be opened: {str(error).splitlines()[0]}") from error
    text: Any = whole.get_text_config()
    if not getattr(text, "architectures", None):
        text.architectures = whole.architectures
    return text


def _ids(value: int | Iterable[int] | None) -> set[int]:
    if value is None:
        return set()
    return {value} if isinstance(value, int) else set(value)
