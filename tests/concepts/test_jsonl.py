"""JSON Lines: what is skipped, what is refused, and that errors name the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from affekt.concepts.jsonl import records
from affekt.errors import CorpusError


def test_blank_lines_a_bom_and_crlf_do_no_harm(write) -> None:
    file = write("a.jsonl", b'\xef\xbb\xbf{"a": 1}\r', "", "   ", '{"a": 2}')
    assert list(records(file)) == [(f"{file}:1", {"a": 1}), (f"{file}:4", {"a": 2})]


def test_a_line_separator_inside_a_string_does_not_end_the_line(write) -> None:
    file = write("a.jsonl", '{"a": "one\u2028two\x85three"}')
    assert [record for _, record in records(file)] == [{"a": "one\u2028two\x85three"}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a": "\xff"}', "not UTF-8 at byte 8"),
        (b'{"a": 1,}', "not JSON at column"),
        (b"[1, 2]", "expected a JSON object, found list"),
        (b'"text"', "expected a JSON object, found str"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' stands twice"),
        (b"[" * 100_000, "not a record"),
    ],
)
def test_a_bad_line_is_named(write, line: bytes, message: str) -> None:
    file = write("bad.jsonl", {"a": 1}, line)
    with pytest.raises(CorpusError) as caught:
        list(records(file))
    assert str(caught.value).startswith(f"{file}:2: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"gone\.jsonl: cannot be read \(No such file"):
        list(records(tmp_path / "gone.jsonl"))
