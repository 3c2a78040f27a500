"""Vectors on disk: what comes back is what was written, and anything else is said in one line."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from affekt.errors import StorageError, VectorsError
from affekt.vectors import ConceptVectors, load_vectors, save_vectors, tensorfile
from affekt.vectors.storage import FORMAT
from tests.vectors.fake import made_vectors

TENSORS = ("raw", "projected", "whitened", "weight", "mean", "std", "norms", "doses")


def same(one: ConceptVectors, two: ConceptVectors) -> None:
    for name in vars(two):
        a, b = getattr(one, name), getattr(two, name)
        assert torch.equal(a.nan_to_num(-7), b.nan_to_num(-7)) if name in TENSORS else a == b, name


def test_round_trip(tmp_path: Path) -> None:
    vectors = made_vectors(
        doses=torch.tensor([0.5, torch.nan, 0.25]), card={"top1": 0.5, "rows": [{"n": 3, "none": None}]}
    )
    file = vectors.save(tmp_path / "deep" / "v.safetensors")
    back = ConceptVectors.load(file)
    same(back, vectors)
    assert back.names == ("calm", "grief-stricken", "at ease")
    assert back.concepts[0].valence == 0.25 and back.concepts[0].cluster == "some"
    assert all(getattr(back, name).dtype == torch.float32 for name in TENSORS)
    assert [each.name for each in file.parent.iterdir()] == ["v.safetensors"]


def test_the_functions_are_the_methods(tmp_path: Path) -> None:
    vectors = made_vectors()
    file = save_vectors(vectors, str(tmp_path / "v.safetensors"))
    assert file == tmp_path / "v.safetensors"
    same(load_vectors(str(file)), vectors)


def test_any_program_can_read_the_file(tmp_path: Path) -> None:
    file = made_vectors().save(tmp_path / "v.safetensors")
    assert set(load_file(file)) == set(TENSORS)
    header = file.read_bytes()
    about = json.loads(
        json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]["affekt"]
    )
    assert about["format"] == FORMAT
    assert about["provenance"]["model"]["weights_sha256"] == "f" * 64


def test_fields_may_share_memory_and_be_strided(tmp_path: Path) -> None:
    one = torch.randn(3, 2, 16).transpose(0, 1)
    vectors = made_vectors(raw=one, projected=one, weight=one)
    same(ConceptVectors.load(vectors.save(tmp_path / "v")), vectors)


def test_saving_again_replaces_what_is_loaded(tmp_path: Path) -> None:
    file = made_vectors().save(tmp_path / "v")
    first = ConceptVectors.load(file)
    made_vectors(seed=1).save(file)
    same(first, made_vectors())
    same(ConceptVectors.load(file), made_vectors(seed=1))


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    whole = made_vectors().save(tmp_path / "whole").read_bytes()
    file = tmp_path / "cut"
    for length in sorted({0, 1, 7, 8, 9, 100, len(whole) - 1, *range(0, len(whole), len(whole) // 60)}):
        file.write_bytes(whole[:length])
        with pytest.raises(VectorsError, match="damaged or cut short"):
            load_vectors(file)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" * 50, b"\x00" * 500, b"{}" * 100, b"\xff" * 64])
def test_some_other_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "v.safetensors"
    file.write_bytes(content)
    with pytest.raises(VectorsError, match=r"v\.safetensors is damaged or cut short"):
        load_vectors(file)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"affekt": "[1]"}, {"affekt": "null"}])
def test_safetensors_that_are_not_ours(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(3)}, file, metadata=metadata)
    with pytest.raises(VectorsError, match=r"model\.safetensors is not a file that Affekt has written"):
        load_vectors(file)


def test_ours_but_no_vectors(tmp_path: Path) -> None:
    tensorfile.write(tmp_path / "state", {"x": torch.zeros(1)}, {"key": "a"})
    with pytest.raises(VectorsError, match="not a vectors file"):
        load_vectors(tmp_path / "state")


def rewritten(tmp_path: Path, tensors: dict[str, Any] | None = None, **about: Any) -> Path:
    """A sound file with some tensors or facts replaced (None takes them out)."""
    own, facts = tensorfile.read(made_vectors().save(tmp_path / "v"))
    for target, changes in ((own, tensors or {}), (facts, about)):
        for name, value in changes.items():
            target[name] = value
            if value is None:
                del target[name]
    tensorfile.write(tmp_path / "v", own, facts)
    return tmp_path / "v"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": FORMAT + 1}, f"has the format {FORMAT + 1}, this Affekt reads {FORMAT}"),
        ({"concepts": None}, "is damaged .*'concepts'"),
        ({"layers": [1]}, "is damaged"),
        ({"concepts": [{"nome": "calm"}]}, "is damaged .*(nome|name)"),
        ({"provenance": {"model": {}}}, "is damaged"),
        ({"read_layer": 7}, "is damaged .*not 7"),
        ({"steer_variant": "other"}, "damaged|steer_variant"),
        ({"tensors": {"raw": None}}, "is damaged .*'raw'"),
        ({"tensors": {"std": torch.zeros(2, 4, 3)}}, "is damaged .*std holds a value that is not above 0"),
        ({"tensors": {"raw": torch.full((2, 3, 16), torch.nan)}}, "is damaged .*raw holds NaN"),
    ],
)
def test_parts_that_are_wrong(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    if "layers" in changes or "steer_variant" in changes:
        # beartype finds the wrong shape or word before we do; without it the message is ours.
        with pytest.raises((VectorsError, TypeError)):
            load_vectors(rewritten(tmp_path, **changes))
        return
    with pytest.raises(VectorsError, match=said):
        load_vectors(rewritten(tmp_path, **changes))


def test_no_such_file(tmp_path: Path) -> None:
    for missing in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(VectorsError, match=r"no vectors file at .*affekt extract MODEL --out"):
            load_vectors(missing)


def test_nan_on_a_card_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    file = made_vectors().save(tmp_path / "v")
    before = file.read_bytes()
    for card in ({"top1": float("nan")}, {"when": object()}):
        with pytest.raises(VectorsError, match="not plain JSON"):
            made_vectors(card=card).save(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("step", ["replace", "fsync"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    file = made_vectors().save(tmp_path / "v")
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(StorageError, match="the disk is full"):
        made_vectors(seed=1).save(file)
    monkeypatch.undo()
    assert file.read_bytes() == before and [each.name for each in tmp_path.iterdir()] == ["v"]


@pytest.mark.parametrize(
    ("word", "said"),
    [("I/O error: No space left on device (os error 28)", "the disk is full"), ("odd", "odd")],
)
def test_safetensors_own_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, said: str
) -> None:
    file = made_vectors().save(tmp_path / "v")
    before = file.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise SafetensorError(word)

    monkeypatch.setattr(tensorfile, "save_file", fail)
    with pytest.raises(StorageError, match=rf"could not write .*{said}; nothing was left half written"):
        made_vectors(seed=1).save(file)
    assert file.read_bytes() == before and [each.name for each in tmp_path.iterdir()] == ["v"]


def test_the_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    file = made_vectors().save(tmp_path / "v")
    assert file.stat().st_mode == (tmp_path / "plain").stat().st_mode
