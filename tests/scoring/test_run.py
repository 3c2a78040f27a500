"""A corpus from end to end in one process: what the engine reads, each document once, whatever stops it."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from affekt.errors import AffektError, CorpusError, ModelError, StorageError, UnknownConcept, VectorsError
from affekt.scoring import Columns, Scores, place, run, score_corpus
from affekt.scoring import scorer as worker
from tests.engines.small import vectors_for
from tests.models import tiny
from tests.scoring.corpora import Spied, corpus, files, lines, parquet, settings, table, texts, use

ID = Columns("text", "id")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Spied:
    return use(monkeypatch)


def score(engine: Spied, source: Path | str, out: Path | str, **given: Any) -> Scores:
    return score_corpus(source, out, settings(**given), engine.vectors)


def test_what_is_written_is_what_the_engine_reads(engine: Spied, tmp_path: Path) -> None:
    out = tmp_path / "out"
    scores = score(engine, corpus(tmp_path / "in"), out, columns=ID, per_token=True)
    names = engine.vectors.names
    readings = [engine.read([text])[0] for text in texts(23)]
    documents, tokens = table(out / "documents"), table(out / "tokens")
    assert documents["id"] == [f"d{i}" for i in range(23)] and not any(documents["cut"])
    assert documents["file"][11] == "b/b.parquet" and documents["row"][10:13] == [10, 0, 1]
    start = 0
    for row, reading in enumerate(readings):
        rows = reading.content_rows()
        assert documents["tokens"][row] == len(rows) == len(reading) - 1
        end = start + len(reading)
        assert tokens["id"][start:end] == [f"d{row}"] * len(reading)
        assert tokens["token"][start:end] == list(range(len(reading)))
        assert tokens["text"][start:end] == list(reading.tokens)
        assert list(zip(tokens["start"], tokens["end"], strict=True))[start:end] == list(reading.spans)
        assert [i for i, counts in enumerate(tokens["counts"][start:end]) if counts] == rows
        for name in names:
            z = reading.of(name)
            np.testing.assert_allclose(tokens[f"z.{name}"][start:end], z, atol=2e-4, rtol=2e-4)
            assert documents[f"mean.{name}"][row] == pytest.approx(z[rows].mean(), abs=2e-4)
            assert documents[f"max.{name}"][row] == pytest.approx(z[rows].max(), abs=2e-4)
            at = documents[f"at.{name}"][row]
            assert at in rows and z[at] == pytest.approx(z[rows].max(), abs=2e-4)
        start = end
    assert start == len(tokens["id"])
    every = np.concatenate([reading.z[reading.content_rows()] for reading in readings])
    found = pq.read_table(out / "percentiles.parquet").to_pydict()
    assert found["concept"] == list(names) and set(found["tokens"]) == {len(every)}
    np.testing.assert_allclose(found["p99"], np.percentile(every, 99, axis=0), atol=1 / 64 + 1e-3)
    np.testing.assert_allclose(found["mean"], every.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(found["max"], every.max(axis=0), atol=2e-4)
    passages = pq.read_table(out / "passages.parquet").to_pydict()
    assert passages["place"] == [1, 2, 3] * len(names)
    tops = [reading.z[reading.content_rows()].max(axis=0) for reading in readings]
    best = np.sort(np.stack(tops), axis=0)[::-1][:3]
    np.testing.assert_allclose(np.reshape(passages["z"], (-1, 3)).T, best, atol=2e-4)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["documents"] == scores.documents == 23 and summary["tokens"] == len(every)
    assert summary["model"]["name"] == "tiny-llama" and summary["left_out"] == []
    page = (out / "index.html").read_text()
    assert all(f"<summary>{name} " in page for name in names) and "23 documents" in page


def test_some_concepts_and_another_layer(engine: Spied, tmp_path: Path) -> None:
    out = tmp_path / "out"
    score(engine, corpus(tmp_path / "in"), out, columns=ID, concepts=("angry", "calm", "angry"), layer=1)
    documents = table(out / "documents")
    assert [name for name in documents if "." in name] == [
        f"{kind}.{name}" for name in ("angry", "calm") for kind in ("mean", "max", "at")
    ]
    reading = engine.read([texts(23)[7]], ["angry"], 1)[0]
    assert documents["max.angry"][7] == pytest.approx(reading.z[1:].max(), abs=2e-4)


def test_long_documents_are_cut_and_say_so(engine: Spied, tmp_path: Path) -> None:
    rows = [{"text": "short one"}, {"text": "he was angry " * 40}]
    out = tmp_path / "out"
    scores = score(engine, lines(tmp_path / "a.jsonl", rows), out, max_tokens=12, per_token=True)
    assert scores.cut == 1 and table(out / "documents")["cut"] == [False, True]
    tokens = table(out / "tokens")
    assert tokens["id"].count("a.jsonl:1") == 12
    whole = engine.read([rows[1]["text"]])[0]
    z = [z for id, z in zip(tokens["id"], tokens["z.calm"], strict=True) if id == "a.jsonl:1"]
    np.testing.assert_allclose(z, whole.of("calm")[:12], atol=2e-4)
    out = tmp_path / "context"
    long = lines(tmp_path / "b.jsonl", [{"text": "angry " * 3000}])
    assert score(engine, long, out, per_token=True).cut == 1
    assert len(table(out / "tokens")["id"]) == engine.context


def test_chats_and_documents_without_a_token_that_counts(engine: Spied, tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "What now?"}, {"role": "assistant", "content": "Wait, he said."}]
    out = tmp_path / "out"
    source = parquet(tmp_path / "a.parquet", [{"messages": chat}])
    score(engine, source, out, columns=Columns("messages"), per_token=True)
    assert set(table(out / "tokens")["role"]) == {"special", "template", "user", "assistant"}
    bad = lines(tmp_path / "b.jsonl", [{"text": [{"role": "usr", "content": "x"}]}, {"text": "fine"}])
    with pytest.raises(CorpusError, match=r"b\.jsonl:1: .*usr.*--skip-corrupt"):
        score(engine, bad, tmp_path / "bad")
    scores = score(engine, bad, tmp_path / "left", skip=True)
    assert scores.documents == 1 and [fault.where for fault in scores.faults] == ["b.jsonl:1"]
    one = lines(tmp_path / "c.jsonl", [{"text": "he was"}])
    score(engine, one, tmp_path / "none", max_tokens=1)
    documents = table(tmp_path / "none" / "documents")
    assert documents["tokens"] == [0] and documents["max.calm"] == [None] == documents["at.calm"]


def test_stopped_again_and_again_each_document_is_read_once(engine: Spied, tmp_path: Path) -> None:
    source = corpus(tmp_path / "in")
    whole = tmp_path / "whole"
    score(engine, source, whole, columns=ID, per_token=True)
    assert engine.texts == 23
    engine.texts, stops, out = 0, 0, tmp_path / "out"
    for stop in range(1, 40):
        engine.stop_after = 5 * stop
        try:
            score(engine, source, out, columns=ID, per_token=True)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 3 and engine.texts == 23, "a document was read twice"
    assert dict(files(out)) == dict(files(whole))
    engine.stop_after = 0
    score(engine, source, out, columns=ID, per_token=True)
    assert engine.texts == 23, "a finished run was read again"
    assert dict(files(out)) == dict(files(whole))


def test_a_part_killed_between_its_files_is_done_again(engine: Spied, tmp_path: Path) -> None:
    source, out = corpus(tmp_path / "in"), tmp_path / "out"
    score(engine, source, out, columns=ID, per_token=True)
    whole = dict(files(out))
    (out / "state" / "part-000002.json.gz").unlink()
    (out / "tokens" / "part-000002.parquet").write_bytes(b"half")
    (out / "documents" / "part-000002.parquet").unlink()
    state = out / "state" / "part-000004.json.gz"
    state.write_bytes(state.read_bytes()[:-30])
    engine.texts = 0
    score(engine, source, out, columns=ID, per_token=True)
    assert dict(files(out)) == whole and engine.texts == 7


def test_a_folder_of_another_run_is_refused_by_name(engine: Spied, tmp_path: Path) -> None:
    source, out = corpus(tmp_path / "in"), tmp_path / "out"
    score(engine, source, out, columns=ID)
    before = dict(files(out))
    for given, what in (
        ({"concepts": ("calm",)}, "concepts differ"),
        ({"per_token": True, "layer": 1}, "layer, per_token differ"),
        ({"columns": Columns()}, "columns, corpus differ"),
        ({"dtype": "float32"}, "dtype differ"),
    ):
        with pytest.raises(StorageError, match=f"another run .*{what}"):
            score(engine, source, out, **({"columns": ID} | given))
    with pytest.raises(StorageError, match="vectors differ"):
        other = replace(engine.vectors, mean=engine.vectors.mean + 1)
        score_corpus(source, out, settings(columns=ID), other)
    lines(source / "c.jsonl", [{"id": "d99", "text": "new"}])
    with pytest.raises(StorageError, match=r"\(corpus differ\)"):
        score(engine, source, out, columns=ID)
    assert dict(files(out)) == before


def test_a_folder_that_is_not_ours_is_refused(engine: Spied, tmp_path: Path) -> None:
    source, out = corpus(tmp_path / "in"), tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(StorageError, match="not empty and holds no scores"):
        score(engine, source, out)
    (out / "thesis.txt").unlink()
    (out / "run.json").write_text("{")
    (out / "state").mkdir()
    with pytest.raises(StorageError, match="damaged"):
        score(engine, source, out)
    for inside in (source, source / "scores"):
        with pytest.raises(CorpusError, match="lies inside the corpus"):
            score(engine, source, inside)


@pytest.mark.parametrize(
    ("given", "kind", "why"),
    [
        ({"columns": Columns("txt")}, CorpusError, "no column 'txt'; did you mean 'text'"),
        ({"concepts": ("clam",)}, UnknownConcept, "did you mean 'calm'"),
        ({"layer": 3}, VectorsError, r"hold the layers \[1, 2\], not 3"),
        ({}, CorpusError, r"b/b\.parquet: a damaged Parquet file"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    engine: Spied, tmp_path: Path, given: dict[str, Any], kind: type[AffektError], why: str
) -> None:
    source = corpus(tmp_path / "in")
    (source / "b" / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(kind, match=why):
        score(engine, source, tmp_path / "out", **given)
    assert not (tmp_path / "out").exists() and not engine.texts


def test_vectors_of_another_model_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from affekt.engines import opening

    monkeypatch.setattr(opening, "load", lambda *_: tiny("llama", seed=5))
    vectors = vectors_for(tiny("llama"))
    source = corpus(tmp_path / "in")
    with pytest.raises(VectorsError, match="these vectors were extracted from"):
        score_corpus(source, tmp_path / "out", settings(), vectors)
    assert score_corpus(source, tmp_path / "out", settings(sibling=True), vectors).documents == 23


def test_a_full_disk_leaves_nothing_half_written(
    engine: Spied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = corpus(tmp_path / "in"), tmp_path / "out"
    plain = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if "part-000003" in self.name and self.parent.name == "documents":
            plain(self, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(self, data)

    monkeypatch.setattr(place.Path, "write_bytes", full)
    with pytest.raises(StorageError, match="the disk is full; nothing was left half written"):
        score(engine, source, out, columns=ID)
    monkeypatch.undo()
    assert not [name for name, _ in files(out) if ".part" in name or "000003" in name]
    engine = use(monkeypatch)
    assert score(engine, source, out, columns=ID).documents == 23 and engine.texts == 23 - 11


def test_results_at_a_url_are_those_on_the_disk(engine: Spied, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    source, out = corpus(tmp_path / "in"), tmp_path / "out"
    score(engine, source, out, columns=ID)
    engine.stop_after = engine.texts + 9
    with pytest.raises(KeyboardInterrupt):
        score(engine, source, "memory://scores/one", columns=ID)
    engine.stop_after = None
    score(engine, source, "memory://scores/one", columns=ID)
    there = {name.removeprefix("/scores/one/"): memory.cat(name) for name in memory.find("/scores/one")}
    del there["index.html"]
    assert there == dict(files(out)) and engine.texts == 46
    memory.rm("/scores", recursive=True)


def test_parts_of_two_precisions_are_not_put_together(
    engine: Spied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = corpus(tmp_path / "in"), tmp_path / "out"
    score(engine, source, out, columns=ID)
    (out / "state" / "part-000001.json.gz").unlink()
    other = replace(engine.model, identity=replace(engine.identity, dtype="bfloat16"))
    monkeypatch.setattr(worker, "open_engine", lambda *_, **__: Spied(other, engine.vectors))
    with pytest.raises(ModelError, match="some parts were read by"):
        score(engine, source, out, columns=ID)


def test_progress_counts_documents_and_what_was_done_before(engine: Spied, tmp_path: Path) -> None:
    source, out = corpus(tmp_path / "in"), tmp_path / "out"
    told: list[tuple[str, int, int]] = []
    engine.stop_after = 9
    for _ in range(2):
        try:
            score_corpus(
                source, out, settings(columns=ID), engine.vectors, progress=lambda *one: told.append(one)
            )
        except KeyboardInterrupt:
            engine.stop_after = None
    reading = [(done, total) for stage, done, total in told if stage == "reading"]
    assert reading[0] == (0, 23) and reading[-1] == (23, 23)
    assert (11, 23) in reading[1:] and reading.count((0, 23)) == 1, (
        "the second run goes on where the first ended"
    )


def test_without_pyarrow_the_extra_is_named(
    engine: Spied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ModelError, match=r"affekt\[scale\]"):
        run.score_corpus("x", tmp_path, settings(), engine.vectors)
