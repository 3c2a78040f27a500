"""Hashes of files and weights; a file is hashed once for as long as its size and time stay the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from affekt.atomic import write_text
from affekt.errors import ModelError, StorageError

__all__ = ["file_sha256", "remembered_sha256", "weight_files", "weights_sha256"]

CHUNK = 1 << 22


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered_sha256(path: Path, cache: Path) -> str:
    """`file_sha256`, remembered in the cache folder."""
    return _remembered([path], cache, lambda: file_sha256(path))


def weights_sha256(folder: Path, cache: Path) -> str:
    """Hash of a model's weights, remembered in the cache folder.

    It covers every tensor's name, dtype, shape and bytes in the order of the names, so that the same weights
    in one file or in several have the same hash.

    Raises:
        ModelError: for a folder without weights, or with a damaged file.
    """
    files = weight_files(folder)
    return _remembered(files, cache, lambda: _tensors_sha256(files))


def weight_files(folder: Path) -> list[Path]:
    """The files with weights in a model's folder: safetensors, else PyTorch's own.

    Raises:
        ModelError: when there is none.
    """
    for pattern in ("*.safetensors", "pytorch_model*.bin"):
        if files := sorted(folder.glob(pattern)):
            return files
    raise ModelError(f"no weights in {folder}: expected *.safetensors files beside config.json")


def _tensors_sha256(files: Sequence[Path]) -> str:
    total = hashlib.sha256()
    if files[0].suffix == ".bin":
        for path in files:
            total.update(bytes.fromhex(file_sha256(path)))
        return total.hexdigest()
    tensors = sorted((name, path, start, about) for path in files for name, start, about in _header(path))
    opened = {path: path.open("rb") for path in files}
    try:
        for name, path, start, about in tensors:
            begin, end = about["data_offsets"]
            total.update(json.dumps([name, about["dtype"], about["shape"]]).encode())
            opened[path].seek(start + begin)
            for at in range(begin, end, CHUNK):
                total.update(opened[path].read(min(CHUNK, end - at)))
    finally:
        for file in opened.values():
            file.close()
    return total.hexdigest()


def _header(path: Path) -> list[tuple[str, int, dict[str, Any]]]:
    """Each tensor of a safetensors file: its name, where the data begins, its dtype, shape and offsets."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:
                raise ValueError("cut short")
            header = json.loads(file.read(length))
        tensors = [(name, 8 + length, about) for name, about in header.items() if name != "__metadata__"]
        if any(start + about["data_offsets"][1] > path.stat().st_size for _, start, about in tensors):
            raise ValueError("cut short")
        return tensors
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path.name} is damaged ({error}); fetch the model again") from error


def _remembered(files: Sequence[Path], cache: Path, compute: Callable[[], str]) -> str:
    memory = cache / "hashes.json"
    key = ";".join(str(path.resolve()) for path in files)
    stamp = ";".join(f"{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in files)
    known: dict[str, list[str]] = {}
    with suppress(OSError, ValueError):
        known = json.loads(memory.read_text(encoding="utf-8"))
    if known.get(key, [""])[0] != stamp:
        known[key] = [stamp, compute()]
        # A cache that cannot be written to costs only the time to hash again.
        with suppress(StorageError):
            write_text(memory, json.dumps(known, indent=0))
    return known[key][1]
