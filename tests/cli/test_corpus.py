"""`affekt corpus`: written through an endpoint and by a model of this process, and checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from affekt.cli import corpus as corpus_module
from affekt.cli.corpora import ordered, said
from affekt.cli.corpus import corpus
from affekt.cli.writers import engine_writer
from affekt.concepts import Corpus
from affekt.concepts.writing import KINDS, Summary, kind_of
from affekt.concepts.writing.names import Names
from affekt.concepts.written import deflection_in, kind_in, neutral_in, two_emotions_in
from affekt.engines import TransformersEngine
from affekt.errors import CorpusError, UnknownConcept, WriterError
from tests.cli.endpoint import endpoint
from tests.cli.session import run
from tests.concepts.writing.scripted import words
from tests.engines.small import opened

FEW = ("--topics", "2", "--concepts", "afraid,calm", "--texts", "2")


def test_an_endpoint_writes_through_limits_failures_and_broken_json(tmp_path: Path) -> None:
    with endpoint({1: 429, 2: 500}) as server:
        args = (
            "write",
            "stories",
            "--model",
            "big-writer",
            "--endpoint",
            server.url,
            "--key",
            "secret",
            *FEW,
        )
        out = run(corpus, *args, "--out", tmp_path)
        asked = server.asked
        assert "8 of 8 texts are there" in out and "affekt extract MODEL --corpus" in out
        again = run(corpus, *args, "--out", tmp_path)
        assert server.asked == asked == 4 + 2 and "8 of 8 texts are there" in again
    corpus_read = Corpus.load(tmp_path)
    assert len(corpus_read) == 8 and corpus_read.gaps() == {}


def test_an_endpoint_that_calls_the_longest_reply_by_another_name(tmp_path: Path) -> None:
    args = ("--model", "big-writer", "--key", "secret", *FEW, "--out", tmp_path, "--at-once", "1")
    with endpoint(limit="max_completion_tokens") as server:
        out = run(corpus, "write", "stories", "--endpoint", server.url, *args)
        assert "8 of 8 texts are there" in out and server.asked == 1 + 4
    with endpoint(limit="none of these") as server:
        with pytest.raises(WriterError, match="use 'none of these' instead"):
            run(corpus, "write", "stories", "--endpoint", server.url, *args, "--texts", "4")
        assert server.asked == 1


def test_what_comes_next_is_said_and_a_stopped_run_is_not_called_short(tmp_path: Path) -> None:
    summary = Summary(4, 1, 0, 2, {}, {}, {"w": 1}, ("topic=a", "topic=b"), Names.of(()), ())
    one = [tmp_path / "neutral.jsonl"]
    assert "2 cells are short" in said(summary, tmp_path, one, kind_of("neutral"))
    stopped = said(summary, tmp_path, one, kind_of("neutral"), stopped=True)
    assert "--again" not in stopped and "1 file in" in stopped
    for kind in KINDS.values():
        command = said(summary, tmp_path, one, kind).splitlines()[-1].split()
        assert command[0] == "affekt" and command[1] in ("extract", "calibrate", "study")
        assert str(tmp_path) in command[-1]


def test_errors_of_an_endpoint_say_what_to_do(tmp_path: Path) -> None:
    def write(url: str, model: str = "big-writer", key: str = "secret") -> None:
        args = ("write", "stories", "--model", model, "--endpoint", url, "--key", key, *FEW)
        run(corpus, *args, "--out", tmp_path, "--timeout", "5")

    with endpoint() as server:
        with pytest.raises(WriterError, match="no model 'big-writter'; did you mean 'big-writer'"):
            write(server.url, model="big-writter")
        with pytest.raises(WriterError, match="AFFEKT_WRITER_KEY"):
            write(server.url, key="wrong")
        url = server.url
    with pytest.raises(WriterError, match="no connection"):
        write(url)
    with pytest.raises(CorpusError, match="did you mean 'stories'"):
        run(corpus, "write", "storys", "--model", "x", "--out", tmp_path)


def test_a_model_of_this_process_writes_in_batches_and_always_the_same() -> None:
    sizes: list[int] = []

    class Counting(TransformersEngine):
        def generate(self, requests):  # type: ignore[no-untyped-def]
            sizes.append(len(requests))
            return super().generate(requests)

    from concurrent.futures import ThreadPoolExecutor

    engine = Counting(opened())
    with engine_writer(engine, 6, 1.0, 3) as write, ThreadPoolExecutor(3) as pool:
        prompts = ["one river", "two rivers", "three rivers"]
        first = list(pool.map(write, prompts))
        assert list(pool.map(write, prompts)) == first and len(set(first)) > 1
    assert max(sizes) > 1 and sum(sizes) == 6


def test_a_failing_model_fails_every_call_that_waits_for_it() -> None:
    class Broken(TransformersEngine):
        def generate(self, _requests):  # type: ignore[no-untyped-def]
            raise RuntimeError("out of memory")

    with engine_writer(Broken(opened()), 6, 1.0, 3) as write:
        for _ in range(2):
            with pytest.raises(Exception, match="the model failed: out of memory"):
                write("a prompt")


def test_a_tiny_model_writes_nothing_that_is_taken_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_module, "open_model", lambda *_: opened())
    few = ("--topics", "1", "--concepts", "afraid,calm", "--max-tokens", "8", "--tries", "1")
    out = run(corpus, "write", "stories", "--model", "tiny", *few, "--out", tmp_path)
    assert "0 of 2 texts are there" in out and "no JSON" in out and "2 cells are short" in out


def test_what_is_ordered(tmp_path: Path) -> None:
    def cells(kind: str, topics: str | None = "2", concepts: str | None = None) -> int:
        return len(ordered(KINDS[kind], topics, concepts, 1, 1, 3, None, 0).cells)

    assert cells("stories") == 2 * 171 and cells("neutral") == 2
    assert cells("two_emotions") == 2 * 171 and cells("deflection") == 2 * 210
    assert cells("stories", None, "calm,my-own-idea") == 200
    with pytest.raises(UnknownConcept, match="did you mean 'desperate'"):
        cells("stories", "1", "desparate")
    with pytest.raises(CorpusError, match="two emotions"):
        cells("deflection", "1", "calm")
    bad = tmp_path / "prompt.txt"
    bad.write_text("Write a story.")
    with pytest.raises(CorpusError, match=r"no \{premise\}"):
        ordered(KINDS["stories"], "1", "calm", 1, 1, 3, bad, 0)
    assert "{premise}" in run(corpus, "prompt", "stories")


def test_a_corpus_is_checked(tmp_path: Path) -> None:
    rows = [
        {"topic": f"t{t}", "form": "story", "concept": c, "text": words(70, f"{c} {t}")}
        for c in ("afraid", "calm")
        for t in range(4)
    ]
    rows[0]["text"] += " She was afraid."
    rows[1]["text"] = words(20, "x")
    rows[2]["text"] = rows[3]["text"][:-1] + "!"
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]))
    out = run(corpus, "check", tmp_path)
    assert "1 of 8 cells" in out and "afraid: afraid" in out and "Without any model" in out
    assert "4 checks found something" in out
    run(corpus, "check", tmp_path, "--strict", "--no-baseline", code=3)


@pytest.mark.parametrize("kind", ["stories", "neutral", "two_emotions", "deflection"])
def test_the_shipped_texts_are_of_the_kinds_that_are_written(kind: str) -> None:
    data = Path("src/affekt/concepts/data")
    path = data / "stories" if kind == "stories" else data / f"{kind}.jsonl"
    assert kind_in(path).name == kind
    readers = {
        "neutral": (neutral_in, 240),
        "two_emotions": (two_emotions_in, 171),
        "deflection": (deflection_in, 210),
    }
    if kind in readers:
        reader, n = readers[kind]
        assert len(reader(path)) == n
    out = run(corpus, "check", path, "--no-baseline")
    assert "name their emotion" in out


def test_no_corpus_at_all(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"a": 1}\n')
    with pytest.raises(CorpusError, match="of no kind of text"):
        run(corpus, "check", file)
    file.write_text('{"topic": "t", "messages": []}\n')
    with pytest.raises(CorpusError, match=r"x\.jsonl:1: at least 2 turns"):
        run(corpus, "check", file)
