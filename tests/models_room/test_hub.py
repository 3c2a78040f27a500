"""The hub: whole snapshots without the network, and its failures in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants

from affekt.errors import ModelError, StorageError
from affekt.models.hub import hub_cached, hub_fetch


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_args, **_options: str(tmp_path))
    return tmp_path


def test_only_a_whole_snapshot_counts(snapshot: Path) -> None:
    assert hub_cached("a/b") is None
    (snapshot / "config.json").touch()
    assert hub_cached("a/b") is None
    index = {"weight_map": {"x": "model-1.safetensors", "y": "model-2.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    (snapshot / "model-1.safetensors").touch()
    assert hub_cached("a/b") is None
    (snapshot / "model-2.safetensors").touch()
    assert hub_cached("a/b") == snapshot


def test_a_single_file_is_whole(snapshot: Path) -> None:
    (snapshot / "config.json").touch()
    (snapshot / "model.safetensors").touch()
    assert hub_cached("a/b") == snapshot


def test_offline_asks_no_network(monkeypatch: pytest.MonkeyPatch, snapshot: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="a/b is not in the hub's cache, and HF_HUB_OFFLINE is set"):
        hub_fetch("a/b")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            ConnectionError("Name or service not known\nand more"),
            ModelError,
            r"\(Name or service not known\)$",
        ),
        (OSError("No space left on device"), StorageError, "no room for a/b"),
        (ValueError(""), ModelError, r"did not give a/b \(ValueError\)"),
    ],
)
def test_failures_are_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception], message: str
) -> None:
    def fail(*_args: Any, **_options: Any) -> Any:
        raise error

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    with pytest.raises(kind, match=message):
        hub_fetch("a/b")
