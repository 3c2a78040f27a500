"""`affekt score-corpus` as its user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from affekt.cli.score_corpus import score_corpus
from affekt.errors import CorpusError, StorageError, VectorsError
from tests.cli.session import run
from tests.scoring.corpora import Spied, corpus, lines, table, use


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Spied:
    spied = use(monkeypatch)
    spied.vectors.save(tmp_path / "v.safetensors")
    return spied


def words(folder: Path, *more: object) -> list[object]:
    given = ["--vectors", folder / "v.safetensors", "--id-column", "id", "--part", 4]
    return ["m", corpus(folder / "in"), folder / "out", *given, *more]


def test_a_corpus_is_read_and_summed_up(engine: Spied, tmp_path: Path) -> None:
    out = run(score_corpus, *words(tmp_path, "--concepts", "calm, angry", "--per-token"))
    assert "23 documents" in out and "calm" in out and "index.html" in out
    assert table(tmp_path / "out" / "documents")["id"] == [f"d{i}" for i in range(23)]
    assert {name for name in table(tmp_path / "out" / "tokens") if "." in name} == {"z.calm", "z.angry"}


def test_stopped_by_ctrl_c_it_says_what_is_written_and_goes_on(
    engine: Spied, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.stop_after = 10
    with pytest.raises(KeyboardInterrupt):
        score_corpus(
            "m",
            str(corpus(tmp_path / "in")),
            str(tmp_path / "out"),
            id_column="id",
            part=4,
            vectors=tmp_path / "v.safetensors",
            passages=10,
        )
    assert "stopped: 11 of 23 documents are written; the same command goes on" in capsys.readouterr().err
    engine.stop_after = None
    run(score_corpus, *words(tmp_path))
    assert engine.texts == 23


def test_what_is_left_out_is_named(engine: Spied, tmp_path: Path) -> None:
    bad = lines(tmp_path / "in" / "bad.jsonl", [{"id": "x", "text": ""}, {"id": "d3", "text": "twice"}, "{"])
    given = words(tmp_path)
    with pytest.raises(CorpusError, match=r"bad\.jsonl:1: text: the text is empty; and 2 more"):
        run(score_corpus, *given)
    assert bad.exists() and not (tmp_path / "out").exists()
    assert "23 documents, 3 left out" in run(score_corpus, *given, "--skip-corrupt")


def test_refusals_are_one_line(engine: Spied, tmp_path: Path) -> None:
    given = words(tmp_path)
    with pytest.raises(CorpusError, match="no column 'txt'; did you mean 'text'"):
        run(score_corpus, *given, "--text-column", "txt")
    with pytest.raises(VectorsError, match="no vectors file"):
        run(score_corpus, "m", tmp_path / "in", tmp_path / "out", "--vectors", tmp_path / "none")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(StorageError, match="not empty"):
        run(score_corpus, *given)


def test_the_command_is_called_with_a_hyphen(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "affekt", "score-corpus", "--help"], capture_output=True, text=True, check=True
    )
    assert "--skip-corrupt" in done.stdout and "--workers" in done.stdout
