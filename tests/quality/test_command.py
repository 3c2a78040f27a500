"""`affekt check` on a tiny model: what it prints, what it keeps, how it fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from affekt.cli import check as command
from affekt.concepts import emotions
from affekt.errors import CorpusError, VectorsError
from affekt.vectors.conceptvectors import ConceptVectors
from tests.models import tiny
from tests.quality.planted import draw, vectors_of

APP = typer.Typer()
APP.command()(command.check)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    model = tiny("llama")
    made = vectors_of(emotions(), draw(171, model.identity.d_model, seed=1), norms=torch.full((3,), 6.0))
    made = replace(made, provenance=replace(made.provenance, model=model.identity))
    monkeypatch.setattr(command, "open_model", lambda _name, _dtype: model)
    return made.save(tmp_path / "tiny.safetensors")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(APP, [str(each) for each in arguments], env={"COLUMNS": "160"})


def test_sections_are_printed_kept_and_written(file: Path, tmp_path: Path) -> None:
    page = tmp_path / "card.md"
    result = run(file, "--only", "lens,affect", "--page", page)
    assert result.exit_code == 0, result.output
    assert "Does a vector point at its own word?" in result.output and str(page) in result.output
    card = ConceptVectors.load(file).card
    assert tuple(card["sections"]) == ("affect", "lens") and card["left"] == []
    assert page.read_text().startswith("# Quality card: tiny-llama")
    assert not file.with_suffix(".cells").exists(), "no pass, no sums"


def test_what_is_wrong_is_said(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "did you mean 'lens'" in str(run(file, "--only", "lense").exception)
    missing = run("smollm2-135m-instruct").exception
    assert isinstance(missing, VectorsError) and "affekt extract smollm2-135m-instruct" in str(missing)
    assert isinstance(run(tmp_path / "none.safetensors").exception, VectorsError)
    (tmp_path / "corpus.jsonl").write_text('{"topic": "t", "form": "f", "concept": "x", "text": "y"}\n')
    wrong = run(file, "--only", "affect", "--corpus", tmp_path / "corpus.jsonl").exception
    assert isinstance(wrong, CorpusError) and "is not what these vectors were made of" in str(wrong)


def test_vectors_of_another_model_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "open_model", lambda _name, _dtype: tiny("llama", seed=1))
    refused = run(file, "--only", "affect").exception
    assert isinstance(refused, VectorsError) and "the model is" in str(refused)
    assert ConceptVectors.load(file).card == {}
