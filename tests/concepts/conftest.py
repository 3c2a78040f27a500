"""Corpora written to disk for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("a.jsonl", record, "raw line", b"raw bytes")` writes the lines and returns the file."""

    def write_lines(name: str, *lines: dict[str, Any] | str | bytes) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"".join(as_bytes(line) + b"\n" for line in lines))
        return file

    return write_lines


def as_bytes(line: dict[str, Any] | str | bytes) -> bytes:
    if isinstance(line, bytes):
        return line
    return (line if isinstance(line, str) else json.dumps(line)).encode()
