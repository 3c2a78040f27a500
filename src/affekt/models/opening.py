"""Opening a model by its name: weights, tokenizer, decoder layers, identity, self-check."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from affekt.errors import ModelError
from affekt.models.adapter import adapted, adapter_sha256
from affekt.models.cache import cache_folder
from affekt.models.fingerprint import weights_sha256
from affekt.models.layers import find
from affekt.models.machine import choose_device, choose_dtype, choose_threads
from affekt.models.model import Identity, Model
from affekt.models.quiet import quiet
from affekt.models.registry import DEFAULT
from affekt.models.selfcheck import self_check
from affekt.models.variant import DTYPES, round_weights, split_variant, variant_sha256
from affekt.models.weights import Weights, resolve

__all__ = ["identify", "load", "tokenizer_of"]

UNLIMITED = 1 << 30
"""Context of a network without position limit."""


def load(
    name: str = DEFAULT,
    dtype: str = "auto",
    device: str = "auto",
    check: bool = True,
    cache: str | Path | None = None,
) -> Model:
    """Opens a causal LM and checks that its residual stream can be read and edited.

    Args:
        name: a short name of the registry, a Hugging Face id, a local folder (a model's or a PEFT adapter's),
            or a GGUF file; with `@int8`, `@int4` or a dtype behind it, the model as that leaves it.
        dtype: `bfloat16`, `float16`, `float32`, or `auto`: bfloat16 where the machine computes in it.
        device: `cpu`, `cuda:0`, …, or `auto`: all GPUs there are, else the CPU.
        check: whether the self-check runs; without it, wrong readings may go unseen.
        cache: the folder for fetched and converted models; `~/.cache/affekt` by default.

    Raises:
        ModelError: for a model that cannot be found, fetched, verified or opened.
        SelfCheckError: for one whose decoder blocks are not found or do not behave as they must.
        StorageError: when the cache cannot be written.
    """
    plain, variant = split_variant(name)
    weights = resolve(plain, cache)
    chosen = choose_device(device)
    precision = choose_dtype(variant if variant in DTYPES else dtype, chosen)
    if chosen.type == "cpu" and (threads := choose_threads()) != torch.get_num_threads():
        torch.set_num_threads(threads)
    spread = device == "auto" and torch.cuda.device_count() > 1
    network = _network(weights, precision, "auto" if spread else chosen)
    if weights.adapter is not None:
        network = adapted(network, weights.adapter)
    round_weights(network, variant)
    tokenizer = tokenizer_of(weights)
    with quiet():
        layers = find(network)
    identity = _identity(weights, variant, precision, network, len(layers), cache)
    model = Model(identity, network, tokenizer, layers, _context(network, tokenizer))
    if check:
        self_check(model)
    return model


def identify(
    name: str, dtype: str = "auto", device: str = "auto", cache: str | Path | None = None
) -> tuple[Identity, PreTrainedTokenizerBase]:
    """What `load` would open, without reading the weights: its identity, and its tokenizer.

    Args:
        name: as for `load`; a model that is not there yet is fetched.
        dtype: as for `load`.
        device: as for `load`.
        cache: as for `load`.

    Raises:
        ModelError: for a model that cannot be found, fetched or verified.
    """
    plain, variant = split_variant(name)
    weights = resolve(plain, cache)
    precision = choose_dtype(variant if variant in DTYPES else dtype, choose_device(device))
    try:
        with quiet(), torch.device("meta"):
            config = AutoConfig.from_pretrained(
                weights.folder, local_files_only=True, trust_remote_code=False
            )
            network = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
                config, trust_remote_code=False
            )
    except Exception as error:
        raise ModelError(f"{weights.name} cannot be opened: {_first_line(error)}") from error
    return _identity(weights, variant, precision, network, _depth(network), cache), tokenizer_of(weights)


def _identity(
    weights: Weights,
    variant: str | None,
    precision: torch.dtype,
    network: PreTrainedModel,
    depth: int,
    cache: str | Path | None,
) -> Identity:
    sha256 = weights_sha256(weights.folder, cache_folder(cache))
    if weights.adapter is not None:
        sha256 = adapter_sha256(sha256, weights.adapter)
    width = cast(torch.Tensor, network.get_input_embeddings().weight).shape[-1]
    return Identity(
        name=f"{weights.name}@{variant}" if variant else weights.name,
        weights_sha256=variant_sha256(sha256, variant),
        dtype=str(precision).removeprefix("torch."),
        architecture=type(network).__name__,
        n_layers=depth,
        d_model=width,
    )


def _depth(network: PreTrainedModel) -> int:
    return int(network.config.get_text_config(decoder=True).num_hidden_layers)


def _network(weights: Weights, dtype: torch.dtype, device: torch.device | str) -> PreTrainedModel:
    options: dict[str, Any] = {"dtype": dtype, "local_files_only": True, "trust_remote_code": False}
    if str(device) != "cpu":
        options["device_map"] = device
    try:
        with quiet():
            network = AutoModelForCausalLM.from_pretrained(weights.folder, **options)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{weights.name} does not fit on {device}; use device='cpu' or a smaller model"
        ) from error
    except Exception as error:
        raise ModelError(f"{weights.name} cannot be opened: {_first_line(error)}") from error
    return cast(PreTrainedModel, network.train(False))


def tokenizer_of(weights: Weights) -> PreTrainedTokenizerBase:
    """A model's tokenizer, or its adapter's own; ModelError for one that knows no spans."""
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                _tokenizer_folder(weights), local_files_only=True, trust_remote_code=False
            )
    except Exception as error:
        raise ModelError(f"the tokenizer of {weights.name} cannot be opened: {_first_line(error)}") from error
    if not tokenizer.is_fast:
        raise ModelError(
            f"{weights.name} has a slow tokenizer, which cannot say where in the text a token stands"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _tokenizer_folder(weights: Weights) -> Path:
    """The adapter's, where it brings a tokenizer of its own."""
    own = weights.adapter
    return own if own is not None and (own / "tokenizer_config.json").is_file() else weights.folder


def _context(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    stated = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return int(stated or min(tokenizer.model_max_length, UNLIMITED))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
