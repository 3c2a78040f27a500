"""Named tensors with a line of JSON in one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from affekt.atomic import replacing
from affekt.errors import StorageError, VectorsError

__all__ = ["read", "write"]

_KEY = "affekt"


def write(path: str | Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors, no two of which share memory, and facts about them under one key of the file's metadata.

    Raises:
        StorageError: the file could not be written; one that was there before is untouched.
        VectorsError: `about` holds something that JSON cannot say, such as NaN.
    """
    try:
        line = json.dumps(about, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise VectorsError(
            f"{path}: what is to be kept beside the vectors is not plain JSON: {error}"
        ) from error
    with replacing(path) as part:
        try:
            save_file(dict(tensors), part, metadata={_KEY: line})
        except SafetensorError as error:
            why = "the disk is full" if "os error 28" in str(error) else str(error)
            raise StorageError(f"could not write {path}: {why}; nothing was left half written") from error


def read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the facts.

    Raises:
        VectorsError: the file is damaged or cut short, or is not one that `write` made.
        OSError: it cannot be read at all.
    """
    # Opened first, since safetensors' own message for a file that may not be read does not say so.
    with Path(path).open("rb"):
        pass
    try:
        with safe_open(path, framework="pt") as stored:
            about = json.loads((stored.metadata() or {}).get(_KEY, "null"))
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}
    except (SafetensorError, ValueError) as error:
        raise VectorsError(f"{path} is damaged or cut short ({error})") from error
    if not isinstance(about, dict):
        raise VectorsError(f"{path} is not a file that Affekt has written")
    return tensors, about
