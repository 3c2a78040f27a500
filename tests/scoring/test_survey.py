"""Going through a corpus: files found, every record checked, parts that hold each document once."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import fsspec
import pytest

from affekt.errors import CorpusError, StorageError
from affekt.scoring import Columns, Document, Survey, survey
from affekt.scoring.reader import Reader
from tests.scoring.corpora import corpus, lines, parquet, texts

ID = Columns("text", "id")


def read_back(found: Survey, order: slice = slice(None)) -> list[Document]:
    reader = Reader(found.files, found.columns)
    return [one for part in found.parts[order] for one in reader.documents(part)]


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_every_document_is_in_one_part_and_read_back_as_it_is(tmp_path: Path, size: int) -> None:
    found = survey(str(corpus(tmp_path / "in")), ID, size=size)
    documents = read_back(found)
    assert [one.id for one in documents] == [f"d{i}" for i in range(23)]
    assert [one.source for one in documents] == texts(23)
    assert [one.ordinal for one in documents] == list(range(23)) and found.documents == 23
    assert max(part.count for part in found.parts) <= size
    backwards = read_back(found, slice(None, None, -1))
    assert sorted(backwards, key=lambda one: one.ordinal) == documents


def test_parts_are_bounded_in_characters(tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", [{"text": "word " * 50_000}] * 5)
    assert [part.count for part in survey(str(file)).parts] == [2, 2, 1]


def test_without_ids_a_document_is_called_by_file_and_row(tmp_path: Path) -> None:
    found = survey(str(corpus(tmp_path / "in")))
    assert [one.id for one in read_back(found)][10:13] == ["a.parquet:10", "b/b.parquet:0", "b/b.parquet:1"]


def test_files_by_pattern_packed_and_at_a_url(tmp_path: Path) -> None:
    rows = [{"text": text} for text in texts(9)]
    with gzip.open(tmp_path / "x.jsonl.gz", "wt", encoding="utf-8") as packed:
        packed.write("\ufeff" + "\n\n".join(json.dumps(row) for row in rows))
    found = survey(str(tmp_path / "*.gz"), size=2)
    assert [one.source for one in read_back(found)] == texts(9)
    assert [one.source for one in read_back(found, slice(None, None, -1))][-1] == texts(9)[1]
    with fsspec.open("memory://corpora/y.jsonl", "w") as there:
        there.write("\n".join(json.dumps(row) for row in rows))
    remote = survey("memory://corpora", size=2)
    assert remote.files[0].name == "y.jsonl"
    assert [one.source for one in read_back(remote)] == texts(9)
    fsspec.filesystem("memory").rm("/corpora", recursive=True)


def test_the_digest_is_that_of_the_documents(tmp_path: Path) -> None:
    rows = [{"id": i, "text": text} for i, text in enumerate(texts(6))]
    one = survey(str(lines(tmp_path / "a.jsonl", rows)), ID)
    same = survey(str(parquet(tmp_path / "b.parquet", rows)), ID)
    rows[3]["text"] += "!"
    other = survey(str(lines(tmp_path / "c.jsonl", rows)), ID)
    assert one.digest == same.digest != other.digest


def test_chats(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "What now?"}, {"role": "assistant", "content": "Wait."}]
    file = parquet(tmp_path / "a.parquet", [{"messages": chat}, {"messages": chat[:1]}])
    assert [one.source for one in read_back(survey(str(file), Columns("messages")))] == [chat, chat[:1]]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("{", "not JSON"),
        ("[1]", "expected a JSON object, found list"),
        ({"id": 2}, "no 'text'; the record has id"),
        ({"id": 2, "txt": "x"}, "no 'text'; did you mean 'txt'"),
        ({"id": 2, "text": " \n"}, "text: the text is empty"),
        ({"id": 2, "text": None}, "text: the text is empty"),
        ({"id": 2, "text": []}, "text: the chat is empty"),
        ({"id": 2, "text": [{"content": "x"}]}, "expected messages with role and content"),
        ({"id": 2, "text": 3}, "expected a text or a list of messages, not int"),
        ({"id": 2, "text": "a\ud800"}, "half a character at place 1"),
        ({"id": None, "text": "x"}, "id: expected a text or a whole number, not None"),
        ({"id": 1, "text": "x"}, "the id '1' stands in the corpus already"),
    ],
)
def test_a_bad_record_is_named_and_may_be_left_out(tmp_path: Path, record: Any, why: str) -> None:
    good = [{"id": i, "text": "x"} for i in (0, 1)]
    file = lines(tmp_path / "a.jsonl", [*good, record, {"id": 9, "text": "y"}])
    with pytest.raises(CorpusError) as error:
        survey(str(file), ID)
    assert str(error.value).startswith("a.jsonl:3: ") and why in str(error.value)
    assert "--skip-corrupt" in str(error.value)
    found = survey(str(file), ID, skip=True)
    assert [str(fault).split(" ")[0] for fault in found.faults] == ["a.jsonl:3:"]
    assert [one.id for one in read_back(found)] == ["0", "1", "9"]


def test_more_bad_records_are_counted(tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", [{"text": "x"}, "{", "{", "{"])
    with pytest.raises(CorpusError, match=r"a\.jsonl:2: not JSON .*; and 2 more"):
        survey(str(file))


def test_a_missing_column_of_parquet_is_an_error_even_where_bad_records_are_left_out(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", [{"body": "x", "title": "y"}])
    for skip in (False, True):
        with pytest.raises(CorpusError, match=r"a\.parquet: no column 'text'; its columns are body, title"):
            survey(str(file), skip=skip)
    with pytest.raises(CorpusError, match="no column 'bdy'; did you mean 'body'"):
        survey(str(file), Columns("bdy"))


def test_damaged_files_are_named_and_may_be_left_out(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "in")
    good = [one.id for one in read_back(survey(str(folder), ID))]
    whole = (folder / "a.parquet").read_bytes()
    page = len(whole) // 8
    for damaged in (
        whole[: len(whole) // 2],
        b"",
        whole[:page] + bytes(b ^ 255 for b in whole[page : 2 * page]) + whole[2 * page :],
    ):
        (folder / "a.parquet").write_bytes(damaged)
        with pytest.raises(CorpusError, match=r"^a\.parquet: a damaged Parquet file"):
            survey(str(folder), ID)
        found = survey(str(folder), ID, skip=True)
        assert [fault.where for fault in found.faults] == ["a.parquet"]
        assert [one.id for one in read_back(found)] == good[11:]
    (folder / "z.jsonl.gz").write_bytes(gzip.compress(b'{"id": "z", "text": "x"}\n' * 99)[:-12])
    found = survey(str(folder), ID, skip=True)
    assert [fault.where for fault in found.faults] == ["a.parquet", "z.jsonl.gz"]


def test_nothing_to_read(tmp_path: Path) -> None:
    for url, why in (
        (tmp_path / "none", "no such file or folder"),
        (tmp_path / "*.pq", "no such file or folder"),
        (parquet(tmp_path / "b.parquet", [{"text": None}]), r"b\.parquet:1: text: the text is empty"),
        (lines(tmp_path / "a.txt", ["x"]), "no corpus file there; a corpus is .parquet"),
        (lines(tmp_path / "a.jsonl", [""]), "no document to read"),
    ):
        with pytest.raises(CorpusError, match=why):
            survey(str(url))
    with pytest.raises(StorageError, match="nowhere"):
        survey("nowhere://x/y.parquet")


def test_a_file_that_changed_meanwhile_is_found(tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", [{"text": text} for text in texts(5)])
    found = survey(str(file))
    lines(file, [{"text": "x"}])
    with pytest.raises(CorpusError, match="has changed since the corpus was gone through"):
        read_back(found)
