"""Two workers on this machine's Ray: what one gives, to the byte; a worker that is killed is made good."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from affekt.engines import TransformersEngine, open_engine
from affekt.errors import CorpusError, ModelError, VectorsError
from affekt.scoring import Columns, Settings, score_corpus, survey
from affekt.scoring.place import Place
from affekt.scoring.rays import _Worker
from affekt.vectors import ConceptVectors
from tests.engines.small import opened, vectors_for
from tests.models import tiny
from tests.scoring.corpora import corpus, files, parquet, texts

pytest.importorskip("ray", reason="Ray is not installed (affekt[scale])")

ID = Columns("text", "id")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ConceptVectors]:
    """A tiny model as a folder, which workers open by themselves, and its vectors."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model = opened()
    model.network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    engine = open_engine("transformers", str(folder))
    assert isinstance(engine, TransformersEngine)
    return folder, vectors_for(engine.model)


@pytest.fixture(scope="module", autouse=True)
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One Ray for the module, with workers of one thread each, as the process of the tests has."""
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


def settings(model: Path, **given: Any) -> Settings:
    return Settings(**{"model": str(model), "part": 4, "kept": 3, "columns": ID} | given)


def test_two_workers_give_what_one_gives_to_the_byte(
    saved: tuple[Path, ConceptVectors], tmp_path: Path
) -> None:
    model, vectors = saved
    source, asked = corpus(tmp_path / "in", 40), settings(model, per_token=True)
    told: list[int] = []
    two = score_corpus(
        source, tmp_path / "two", asked, vectors, workers=2, progress=lambda _, done, __: told.append(done)
    )
    one = score_corpus(source, tmp_path / "one", asked, vectors)
    assert dict(files(tmp_path / "two")) == dict(files(tmp_path / "one"))
    assert two.documents == one.documents == 40 and told[-1] == 40 and told == sorted(told)


def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(
    saved: tuple[Path, ConceptVectors], tmp_path: Path
) -> None:
    model, vectors = saved
    rows = [{"id": f"d{i}", "text": f"{text} " * 12} for i, text in enumerate(texts(160))]
    source, asked = parquet(tmp_path / "in.parquet", rows), settings(model)
    # Large enough not to travel with the call that starts a worker.
    vectors = replace(vectors, card={"note": "x" * 300_000})
    whole, out = tmp_path / "whole", tmp_path / "out"
    score_corpus(source, whole, asked, vectors)
    killed: list[int] = []

    def kill() -> None:
        """Kills what runs a worker once it has begun to write."""
        until = time.monotonic() + 300
        while time.monotonic() < until and not killed:
            time.sleep(0.02)
            if len(list((out / "state").glob("*.json.gz"))) >= 5:
                for pid in actors():
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    return

    thread = threading.Thread(target=kill)
    thread.start()
    scores = score_corpus(source, out, asked, vectors, workers=2)
    thread.join()
    assert killed, "the worker was not killed in time"
    assert scores.documents == 160
    assert dict(files(out)) == dict(files(whole))


def test_a_document_that_kills_every_worker_ends_the_run_by_name(
    saved: tuple[Path, ConceptVectors], tmp_path: Path, ray: Any
) -> None:
    model, vectors = saved
    source, asked = parquet(tmp_path / "in.parquet", [{"id": 1, "text": "calm"}]), settings(model)
    found, out = survey(str(source), ID), Place(tmp_path / "out")
    worker = _Worker([ray.put((asked, vectors, found, out.url, "key", found.parts, "this run"))])
    mark = out.local / "state" / "part-000000.begun"
    mark.parent.mkdir(parents=True)
    mark.write_text("this run\nthis run\nanother run\nthis run")
    answer = worker({"part": [0]})
    assert answer["kind"] == ["ModelError"] and "3 workers died over the 1 documents" in answer["message"][0]
    assert "in.parquet:1" in answer["message"][0]
    mark.write_text("another run\n" * 5 + "this run")
    assert worker({"part": [0]})["kind"] == [""] and not mark.exists()


def parent(pid: int) -> int:
    """The process that started a process; 0 where there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def actors() -> list[int]:
    """The processes of this process's Ray that run our actor; those of another Ray are not ours to kill."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            pid = int(folder.name)
            command = (folder / "cmdline").read_bytes()
            if command.startswith(b"ray::MapWorker") and parent(parent(pid)) == os.getpid():
                found.append(pid)
    return found


def test_what_a_worker_refuses_is_said_as_by_one_worker_alone(
    saved: tuple[Path, ConceptVectors], tmp_path: Path
) -> None:
    model, vectors = saved
    source = corpus(tmp_path / "in")
    with pytest.raises(VectorsError, match="these vectors were extracted from"):
        score_corpus(source, tmp_path / "a", settings(model), vectors_for(tiny("llama", seed=7)), workers=2)
    chats = [{"id": i, "text": [{"role": "user" if i else "usr", "content": "x"}]} for i in range(9)]
    chat = parquet(tmp_path / "chats.parquet", chats)
    with pytest.raises(CorpusError, match=r"chats\.parquet:1: .*usr"):
        score_corpus(chat, tmp_path / "c", settings(model), vectors, workers=2)


def test_without_ray_the_extra_is_named(
    saved: tuple[Path, ConceptVectors], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, vectors = saved
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ModelError, match=r"several workers need Ray: pip install 'affekt\[scale\]'"):
        score_corpus(corpus(tmp_path / "in"), tmp_path / "out", settings(model), vectors, workers=2)
