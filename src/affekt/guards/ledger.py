"""Scores written down one by one, so that a stopped run loses none of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any

from affekt.atomic import Appended, write_text
from affekt.errors import CalibrationError

__all__ = ["Ledger"]


class Ledger:
    """Rows of scores by id; with a file, each is on disk as soon as it is added."""

    def __init__(self, path: str | Path | None, key: str) -> None:
        """Reads what a former run has left.

        Args:
            path: the file; None keeps the rows in memory only.
            key: what the scores depend on; the file must have been begun with the same.

        Raises:
            CalibrationError: the file is of another run, or cannot be read.
        """
        self.rows: dict[str, Mapping[str, float]] = {}
        self._path = None if path is None else Path(path)
        self._key = key
        self._file: Appended | None = None
        if self._path is not None and self._path.is_file():
            self._read(self._path)

    def __enter__(self) -> Ledger:
        if self._path is not None:
            rows = [_line(_row(id, scores)) for id, scores in self.rows.items()]
            write_text(self._path, "".join([_line({"key": self._key}), *rows]))
            self._file = Appended(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, id: str, scores: Mapping[str, float]) -> None:
        """One reply's scores; raises StorageError where they cannot be written down."""
        self.rows[id] = scores
        if self._file is not None:
            self._file.add(_line(_row(id, scores)).encode())

    def _read(self, path: Path) -> None:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise CalibrationError(f"{path}: cannot be read ({error.strerror})") from error
        records = [_parsed(line) for line in lines]
        if not records or records[0] is None or records[0].get("key") != self._key:
            raise CalibrationError(
                f"{path} holds scores of another run (the model, vectors, monitors, dialogues or decoding "
                f"differ); give another file, or remove it"
            )
        for record in records[1:]:
            if record is not None and "id" in record:
                scores = record["scores"].items()
                self.rows[record["id"]] = {name: -inf if score is None else score for name, score in scores}


def _row(id: str, scores: Mapping[str, float]) -> dict[str, Any]:
    """JSON has no minus infinity, the score of a reply without tokens."""
    return {"id": id, "scores": {name: None if score == -inf else score for name, score in scores.items()}}


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, allow_nan=False) + "\n"


def _parsed(line: str) -> dict[str, Any] | None:
    """A record, or None for the half of a line that a stopped run may end with."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
