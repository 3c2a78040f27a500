"""PEFT adapters: a folder with a LoRA, opened on the base that it was trained on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, cast

from transformers import PreTrainedModel

from affekt.errors import ModelError
from affekt.models.fingerprint import file_sha256
from affekt.models.quiet import quiet

__all__ = ["CONFIG", "adapted", "adapter_sha256", "base_of"]

CONFIG = "adapter_config.json"
"""The file that makes a folder an adapter."""

WEIGHTS = "adapter_model.safetensors"


def base_of(folder: Path) -> str:
    """The name of the model that an adapter was trained on.

    Raises:
        ModelError: its config is damaged or names none.
    """
    base = _config(folder).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(f"{folder.name} does not name its base: {CONFIG} has no base_model_name_or_path")
    return base


def adapter_sha256(base: str, folder: Path) -> str:
    """Hash of an adapted model: of its base's weights, the adapter's, and how they are put together."""
    settings = {
        key: value
        for key, value in _config(folder).items()
        if key not in ("base_model_name_or_path", "revision")
    }
    total = hashlib.sha256(f"{base} {file_sha256(_weights(folder))}".encode())
    total.update(json.dumps(settings, sort_keys=True).encode())
    return total.hexdigest()


def adapted(network: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The network with the adapter's maps beside its own.

    They are not merged into the weights: the sum, rounded to bfloat16, would be another model than was
    trained.

    Raises:
        ModelError: peft is not installed, the adapter is damaged, or it was made for another base.
    """
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ModelError("adapters need peft: pip install 'affekt[tune]'") from error
    _weights(folder)
    try:
        with quiet():
            model = PeftModel.from_pretrained(network, folder, is_trainable=False)
    except Exception as error:
        what = str(error).strip().splitlines() or [type(error).__name__]
        detail = next(
            (line.strip() for line in what if "size mismatch" in line or "not found" in line), what[0]
        )
        raise ModelError(
            f"the adapter {folder.name} does not fit {type(network).__name__}: it was made for another "
            f"base, or is damaged ({detail:.200})"
        ) from error
    inner = cast(PreTrainedModel, model.base_model.model)
    if not any("lora" in name or "adapter" in name for name, _ in inner.named_parameters()):
        raise ModelError(f"the adapter {folder.name} changes nothing in {type(network).__name__}")
    inner.train(False)
    return inner


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder.name}: {CONFIG} cannot be read ({error})") from error
    if not isinstance(config, dict):
        raise ModelError(f"{folder.name}: {CONFIG} is no JSON object")
    return config


def _weights(folder: Path) -> Path:
    file = folder / WEIGHTS
    if not file.is_file():
        raise ModelError(f"{folder.name} is an adapter without weights: it has no {WEIGHTS}")
    return file
