"""Hashes of weights: of the content, remembered, and over damaged files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from affekt.errors import ModelError
from affekt.models import fingerprint
from affekt.models.fingerprint import file_sha256, remembered_sha256, weights_sha256

TENSORS = {
    "b": torch.arange(6.0).reshape(2, 3),
    "a": torch.tensor([1, 2]),
    "c": torch.ones(4, dtype=torch.bfloat16),
}


def folder_of(root: Path, *shards: dict[str, torch.Tensor], note: str = "") -> Path:
    root.mkdir()
    for number, shard in enumerate(shards):
        save_file(shard, root / f"model-{number}.safetensors", metadata={"format": "pt", "note": note})
    return root


def test_the_hash_is_of_the_tensors_however_they_are_stored(tmp_path: Path) -> None:
    whole = folder_of(tmp_path / "whole", TENSORS)
    split = folder_of(
        tmp_path / "split", {"b": TENSORS["b"]}, {"a": TENSORS["a"], "c": TENSORS["c"]}, note="x"
    )
    assert weights_sha256(whole, tmp_path) == weights_sha256(split, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"a": torch.tensor([1, 3])},
        {"a": torch.tensor([[1, 2]])},
        {"b": TENSORS["b"].double()},
        {"d": torch.ones(1)},
    ],
)
def test_any_change_of_a_tensor_changes_it(tmp_path: Path, change: dict[str, torch.Tensor]) -> None:
    one = weights_sha256(folder_of(tmp_path / "one", TENSORS), tmp_path)
    assert weights_sha256(folder_of(tmp_path / "other", TENSORS | change), tmp_path) != one


def test_a_file_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, hashed = tmp_path / "f", []
    plain = file_sha256
    monkeypatch.setattr(fingerprint, "file_sha256", lambda path: (hashed.append(path), plain(path))[1])
    file.write_bytes(b"one")
    for _ in range(2):
        assert remembered_sha256(file, tmp_path) == hashlib.sha256(b"one").hexdigest()
    assert len(hashed) == 1
    file.write_bytes(b"two")
    os.utime(file, (1, 1))
    assert remembered_sha256(file, tmp_path) == hashlib.sha256(b"two").hexdigest()


def test_a_cache_that_cannot_be_written_or_read_costs_only_time(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"one")
    assert remembered_sha256(file, file / "no folder") == hashlib.sha256(b"one").hexdigest()
    (tmp_path / "hashes.json").write_text("{half")
    assert remembered_sha256(file, tmp_path) == hashlib.sha256(b"one").hexdigest()


@pytest.mark.parametrize("kept", [4, 40, 200])
def test_a_file_cut_short(tmp_path: Path, kept: int) -> None:
    folder = folder_of(tmp_path / "m", TENSORS)
    [file] = folder.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"model-0.safetensors is damaged"):
        weights_sha256(folder, tmp_path)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no weights in"):
        weights_sha256(tmp_path, tmp_path)


def test_weights_in_pytorchs_own_files(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    assert len(weights_sha256(tmp_path, tmp_path)) == 64
