from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from affekt.concepts import Corpus
from affekt.concepts.writing import KINDS, Folder, Order, Writer, export, summarised, write
from affekt.concepts.writing.checks import Sieve
from affekt.concepts.writing.folder import LOG
from affekt.concepts.writing.order import by_pair, one_each, premises_of
from affekt.concepts.writing.write import filled
from affekt.errors import CorpusError, StorageError, WriterError
from tests.concepts.writing.scripted import Scripted, order, words

STORIES = KINDS["stories"]


def run(writer: Writer, path: Path, wanted: Order, **more: object) -> Folder:
    with Folder(path, STORIES) as folder:
        try:
            write(writer, wanted, folder, Sieve.of(STORIES), name="scripted", **more)
        finally:
            export(folder, wanted.cells)
    return folder


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_corpus_is_written_that_extraction_reads(tmp_path: Path, at_once: int) -> None:
    wanted, writer = order(), Scripted()
    run(writer, tmp_path, wanted, at_once=at_once)
    corpus = Corpus.load(tmp_path)
    assert len(corpus) == wanted.wanted == 12 and corpus.gaps() == {}
    assert sorted(file.name for file in tmp_path.glob("*.jsonl")) == ["topic-0.jsonl", "topic-1.jsonl"]
    assert [c.name for c in corpus.concepts] == ["afraid", "angry", "calm"] and corpus.forms == ("story",)
    assert len(writer.prompts) == 6
    assert "Something about number 0" in writer.prompts[0] and "{" not in writer.prompts[0].split("Answer")[0]


def test_what_is_there_is_not_asked_again(tmp_path: Path) -> None:
    run(Scripted(), tmp_path, order())
    before = Corpus.load(tmp_path).hash
    again = Scripted()
    run(again, tmp_path, order())
    assert again.prompts == [] and Corpus.load(tmp_path).hash == before
    more = Scripted(seed="more")
    run(more, tmp_path, order(texts=3))
    assert len(more.prompts) == 6 and len(Corpus.load(tmp_path)) == 18


def test_refused_texts_are_asked_for_again_and_the_writer_is_told(tmp_path: Path) -> None:
    writer = Scripted({1: "nonsense", 2: json.dumps([words(70, "x"), words(20, "y")])})
    folder = run(writer, tmp_path, order())
    assert "it was not JSON" in writer.prompts[1] and "too short" in writer.prompts[2]
    assert writer.prompts[2].startswith("Write 1 ")
    summary = summarised(folder, order())
    assert summary.refused == {"no JSON": 1, "too short": 1} and summary.have == summary.wanted == 12
    assert summary.short == () and summary.writers == {"scripted": 12} and summary.calls == 8


def test_a_cell_that_cannot_be_filled_is_left_short_until_it_is_asked_for_again(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    writer = Scripted({i: "no" for i in (1, 2, 3)})
    folder = run(writer, tmp_path, order(), progress=lambda *each: told.append(each))
    assert told[-1] == ("texts", 12, 12) and len(writer.prompts) == 3 + 5
    assert summarised(folder, order()).short == ("concept=afraid|topic=topic-0",)
    idle = Scripted()
    run(idle, tmp_path, order())
    assert idle.prompts == []
    folder = run(Scripted(seed="again"), tmp_path, order(), again=True)
    assert summarised(folder, order()).short == () and len(Corpus.load(tmp_path)) == 12


def test_a_failing_writer_keeps_what_is_finished(tmp_path: Path) -> None:
    class Failing(Scripted):
        def __call__(self, prompt: str) -> str:
            if len(self.prompts) == 3:
                raise WriterError("the line is dead")
            return super().__call__(prompt)

    with pytest.raises(WriterError, match="dead"):
        run(Failing(), tmp_path, order())
    assert len(Corpus.load(tmp_path)) == 6
    run(Scripted(seed="more"), tmp_path, order())
    assert len(Corpus.load(tmp_path)) == 12


def test_a_stop_ends_after_the_calls_under_way(tmp_path: Path) -> None:
    writer = Scripted()
    run(writer, tmp_path, order(), stop=lambda: len(writer.prompts) >= 2)
    assert len(Corpus.load(tmp_path)) == 4 and len(writer.prompts) == 2


def test_a_killed_process_goes_on_with_nothing_double(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.concepts.writing.scripted import Scripted, order\n"
        "from tests.concepts.writing.test_write import run\n"
        "class Slow(Scripted):\n"
        "    def __call__(self, prompt):\n"
        "        time.sleep(0.05)\n"
        "        return super().__call__(prompt)\n"
        "run(Slow(), Path(sys.argv[1]), order(topics=40))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env={**os.environ})
    log = tmp_path / LOG
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_bytes().count(b"\n") > 8):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    lines = log.read_bytes().splitlines()
    with log.open("ab") as file:
        file.write(lines[-1][: len(lines[-1]) // 2])
    kept = [json.loads(line)["cell"] for line in lines[1:]]
    wanted = order(topics=40)
    fresh = Scripted(seed="fresh")
    run(fresh, tmp_path, wanted)
    assert len(fresh.prompts) == len(wanted.cells) - len(kept)
    corpus = Corpus.load(tmp_path)
    assert len(corpus) == wanted.wanted and corpus.gaps() == {}


def test_a_folder_is_written_by_one_process_and_holds_one_kind(tmp_path: Path) -> None:
    with Folder(tmp_path / "a", STORIES), pytest.raises(StorageError, match="another process"):
        Folder(tmp_path / "a", STORIES)
    with pytest.raises(CorpusError, match="holds stories, not neutral"):
        Folder(tmp_path / "a", KINDS["neutral"])
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.jsonl").write_text("{}\n")
    with pytest.raises(CorpusError, match="not written by affekt corpus write"):
        Folder(tmp_path / "b", STORIES)
    log = tmp_path / "a" / LOG
    log.write_text(log.read_text().replace("writing/1", "writing/9"))
    with pytest.raises(CorpusError, match="another version"):
        Folder(tmp_path / "a", STORIES)


def test_pairs_are_balanced() -> None:
    premises = premises_of(None, Path("src/affekt/concepts/data/premises.jsonl"), 3)
    assert len(premises) == 3
    pairs = list(one_each(premises, ["a", "b", "c", "d"], 0))
    for side in ("user_emotion", "assistant_emotion"):
        assert sorted(cell[side] for cell in pairs) == sorted("abcd" * 3)
    assert all(cell["user_emotion"] != cell["assistant_emotion"] for cell in pairs)
    assert len(list(by_pair(premises, ["a", "b", "c"], 0))) == 3 * 6


def test_topics_of_a_user(tmp_path: Path) -> None:
    file = tmp_path / "topics.txt"
    file.write_text("A lost key, found again\n\nRain at the fair\n")
    shipped = Path("src/affekt/concepts/data/premises.jsonl")
    assert [one.topic for one in premises_of(file, shipped)] == ["a-lost-key-found-again", "rain-at-the-fair"]
    assert len(premises_of(None, shipped)) == 100
    file.write_text("Rain.\nrain\n")
    with pytest.raises(CorpusError, match="stands twice"):
        premises_of(file, shipped)
    with pytest.raises(CorpusError, match="cannot be read"):
        premises_of(tmp_path / "none.txt", shipped)
    lines = tmp_path / "topics.jsonl"
    lines.write_text('{"topic": "x"}\n')
    with pytest.raises(CorpusError, match="'topic' and 'text'"):
        premises_of(lines, shipped)


def test_only_known_braces_are_filled() -> None:
    assert filled('{n} of {"a": {x}} {premise}', {"n": "3", "premise": "{n}"}) == '3 of {"a": {x}} {n}'
