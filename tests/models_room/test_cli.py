"""`affekt models`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from affekt.cli.models import models
from affekt.errors import ModelError
from affekt.models.registry import ENTRIES, Entry
from affekt.models.weights import resolve

app = typer.Typer()
app.command()(models)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_table(registered: Entry, tmp_path: Path) -> None:
    resolve(registered.name, tmp_path)
    lines = run("--cache", str(tmp_path)).splitlines()
    assert lines[0].split() == ["model", "weights", "fetch", "kind", "licence", "cached"]
    assert lines[1].split()[:3] == ["smollm2-135m-instruct", "*", "135"] and lines[1].split()[-1] == "no"
    assert [line.split()[-1] for line in lines if line.startswith("tiny-135m")] == ["yes"]


def test_json(registered: Entry, tmp_path: Path) -> None:
    rows = json.loads(run("--json", "--cache", str(tmp_path)))
    assert [row["name"] for row in rows] == list(ENTRIES)
    assert [row["name"] for row in rows if row["default"]] == ["smollm2-135m-instruct"]
    assert {row["cached"] for row in rows} == {False}


def test_the_self_check_of_a_model(folder: Path, tmp_path: Path) -> None:
    text = run("--check", str(folder), "--dtype", "float32", "--cache", str(tmp_path / "cache"))
    assert text.startswith(
        "my-llama: LlamaForCausalLM, 4 layers, width 32, float32 on cpu, context 2,048, weights "
    )
    assert text.count("\nok   ") == 5
    report = json.loads(run("--check", str(folder), "--json", "--cache", str(tmp_path / "cache")))
    assert report["identity"]["name"] == "my-llama" and all(item["holds"] for item in report["findings"])


def test_an_unknown_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="unknown model 'nonsense'"):
        run("--check", "nonsense", "--cache", str(tmp_path))
