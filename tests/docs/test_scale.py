"""What the page on scale promises: its Python runs, and the files and columns are those that it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from affekt.cli.extract import extract
from affekt.cli.score_corpus import score_corpus
from tests.docs.test_pages import DOCS, blocks
from tests.scoring.corpora import corpus, table, use


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    engine = use(monkeypatch)
    corpus(tmp_path / "corpus")
    engine.vectors.save(tmp_path / "vectors.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_python_of_the_page_and_what_it_says_is_written(here: Path) -> None:
    [pandas, ours] = blocks("scale.md", "python")
    assert "workers=2" in ours
    said: dict[str, Any] = {}
    exec(ours.replace("workers=2", "workers=1"), said)
    assert said["scores"].documents == 23 and len(said["scores"].strongest(3)) == 2
    exec(pandas, said)
    text = (DOCS / "scale.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w./]+)[^|]*\| (.*) \|$", text, flags=re.MULTILINE))
    named = set(re.findall(r"`([\w.]+)`", rows["documents/part"]))
    made = {
        name.replace("calm", "NAME").replace("desperate", "NAME") for name in table(here / "scores/documents")
    }
    assert named == made
    for file in ("passages.parquet", "percentiles.parquet", "summary.json", "index.html", "run.json"):
        assert file in rows and (here / "scores" / file).is_file()
    assert (here / "scores" / "state").is_dir()


def test_every_option_of_the_page_is_one() -> None:
    text = (DOCS / "scale.md").read_text(encoding="utf-8")
    known = {
        option
        for command in (score_corpus, extract)
        for name in command.__annotations__
        for option in (f"--{name.replace('_', '-')}",)
    }
    assert set(re.findall(r"--[a-z][a-z-]+", text)) <= known
