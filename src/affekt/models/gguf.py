"""Turning a GGUF file into a folder of bfloat16 safetensors that opens fast."""

from __future__ import annotations

from contextlib import redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from affekt.errors import ModelError
from affekt.models.pretokenizing import as_in_gguf
from affekt.models.quiet import quiet

__all__ = ["convert"]


def convert(file: Path, folder: Path, name: str) -> None:
    """Writes the model in `file` to `folder`: weights dequantised to bfloat16, tokenizer, chat template.

    Raises:
        ModelError: for a file that is damaged, cut short or no GGUF, or holds an architecture that
            transformers does not know.
    """
    if find_spec("gguf") is None:
        raise ModelError("opening a GGUF file needs one more package: pip install 'affekt[gguf]'")
    with file.open("rb") as start:
        if start.read(4) != b"GGUF":
            raise ModelError(f"{file.name} is not a GGUF file")
    # The reader of some architectures draws a progress bar that no setting of transformers turns off.
    with quiet(), redirect_stderr(StringIO()):
        network, tokenizer = _open(file)
        _settle(network, name)
        network.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _open(file: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    from gguf import GGUFReader

    where: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    try:
        reader = GGUFReader(str(file))
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
        network = AutoModelForCausalLM.from_pretrained(
            file.parent, dtype=torch.bfloat16, **where, **_dequantised()
        )
        if not any(tensor.name == "output.weight" for tensor in reader.tensors):
            network.config.tie_word_embeddings = True
            network.tie_weights()
        as_in_gguf(tokenizer, _text_field(reader, "tokenizer.ggml.pre"))
        _check_finite(network)
    except MemoryError:
        raise
    except Exception as error:
        # A damaged file shows as an error of any kind, from the reader, numpy or the tokenizer.
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ModelError(
            f"{file.name} cannot be opened: it is damaged, cut short or of an unknown architecture "
            f"({type(error).__name__}: {reason})"
        ) from error
    return network, tokenizer


def _settle(network: PreTrainedModel, name: str) -> None:
    """Leaves no trace of the GGUF: a model that says it is quantised cannot be saved and opened again."""
    network.__dict__.pop("hf_quantizer", None)
    for key in ("quantization_config", "_model_name_or_path", "_name_or_path"):
        network.config.__dict__.pop(key, None)
    network.config._name_or_path = name


def _dequantised() -> dict[str, Any]:
    """The argument that asks for plain weights, where transformers could otherwise keep them packed."""
    import transformers

    config = getattr(transformers, "GgufConfig", None)
    return {"quantization_config": config(dequantize=True)} if config else {}


def _check_finite(network: PreTrainedModel) -> None:
    for name, weight in network.named_parameters():
        if not torch.isfinite(weight).all():
            raise ValueError(f"{name} holds numbers that are not finite")


def _text_field(reader: Any, key: str) -> str | None:
    field = reader.get_field(key)
    return None if field is None else str(bytes(field.parts[field.data[0]]), "utf-8")
