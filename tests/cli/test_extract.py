"""`affekt extract`: what cannot be written is found before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from affekt.cli.extract import extract
from affekt.cli.making import make_vectors
from affekt.errors import ModelError, StorageError
from tests.cli.session import run
from tests.engines.small import engine


@pytest.fixture
def unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affekt.engines.open_engine", lambda *_, **__: pytest.fail("a model was opened"))


@pytest.mark.usefixtures("unopened")
@pytest.mark.parametrize("share", [(), ("--shard", "1/2")])
@pytest.mark.parametrize("out", ["a file/v.safetensors", "a file/deeper/v.safetensors", "/proc/affekt/v"])
def test_a_folder_that_takes_no_files_is_found_before_a_model_is_opened(
    tmp_path: Path, out: str, share: tuple[str, ...]
) -> None:
    (tmp_path / "a file").write_text("x")
    with pytest.raises(StorageError, match="could not write") as caught:
        run(extract, "smollm2-135m-instruct", "--out", tmp_path / out, *share)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 10


@pytest.mark.usefixtures("unopened")
def test_a_folder_in_the_place_of_the_file_is_found_too(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="it is a folder"):
        run(extract, "smollm2-135m-instruct", "--out", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_place_where_vectors_are_kept_is_tried_before_the_first_forward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = engine()
    monkeypatch.setattr(one, "collect", lambda *_: pytest.fail("it began to work"))
    (tmp_path / "a file").write_text("x")
    with pytest.raises(StorageError, match="could not write"):
        make_vectors(one, tmp_path / "a file" / "v.safetensors")
    (tmp_path / "v.parts").write_text("x")
    with pytest.raises(StorageError, match=r"v\.parts"):
        make_vectors(one, tmp_path / "v.safetensors")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a file", "v.parts"]


def test_an_unknown_engine_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="unknown engine 'vlm'; did you mean 'vllm'"):
        run(extract, "smollm2-135m-instruct", "--engine", "vlm", "--out", tmp_path / "v")


def test_an_engine_is_closed_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, closed = engine(), []
    monkeypatch.setattr("affekt.engines.open_engine", lambda *_, **__: one)
    monkeypatch.setattr(one, "close", lambda: closed.append(True))

    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(one, "collect", stopped)
    run(extract, "m", "--out", tmp_path / "v.safetensors", code=130)
    assert closed == [True]
