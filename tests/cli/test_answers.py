"""The file of answers on a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from affekt.cli.answers import Answers
from affekt.errors import StorageError
from tests.test_atomic import no_file_over


def test_answers_to_one_request_are_there_together_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    lines = [{"id": "a", "choice": choice, "text": "x" * 20} for choice in (0, 1)]
    with no_file_over(150), pytest.raises(StorageError, match="the same command goes on"):
        with Answers(file, []) as answers:
            answers.write([{**line, "id": "before"} for line in lines])
            answers.write(lines)
    assert [line.count("before") for line in file.read_text().splitlines()] == [1, 1]
