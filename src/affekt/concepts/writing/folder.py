"""The folder of a corpus being written: a log with a line for each call, and the files made from it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from affekt.atomic import Appended, write_text
from affekt.concepts.writing.checks import Refusal
from affekt.concepts.writing.kinds import Kind
from affekt.concepts.writing.order import Cell, cell_key
from affekt.errors import CorpusError, StorageError

__all__ = ["LOG", "Call", "Folder", "export"]

LOG = "writing.log"
"""The log's name; it is no `.jsonl`, so that the folder is a corpus as it stands."""

_FORMAT = "affekt.writing/1"


@dataclass(frozen=True)
class Call:
    """One answer of a writer and what became of it."""

    cell: str
    """Key of the cell."""
    writer: str
    """Who wrote."""
    prompt: str
    """Hash of the template."""
    records: tuple[dict[str, Any], ...]
    """What was taken."""
    refused: tuple[Refusal, ...]
    """What was not."""


class Folder:
    """The log, open for one process. A torn last line, left by a process that was killed, is dropped."""

    def __init__(self, path: Path, kind: Kind) -> None:
        """Opens or begins a folder.

        Raises:
            CorpusError: it holds texts of another kind, or files of another origin.
            StorageError: another process writes there, or it cannot be written.
        """
        self.path, self.kind = path, kind
        self.calls: list[Call] = []
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path / ".lock")
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise StorageError(
                f"another process writes in {path}; wait for it or name another folder"
            ) from error
        except OSError as error:
            raise StorageError(f"could not write in {path}: {error.strerror or error}") from error
        try:
            self._file = self._open()
        except BaseException:
            self._lock.release()
            raise

    def _open(self) -> Appended:
        log = self.path / LOG
        if not log.exists():
            foreign = sorted(file.name for file in self.path.rglob("*.jsonl"))
            if foreign:
                raise CorpusError(
                    f"{self.path} holds {foreign[0]} and no {LOG}: not written by affekt corpus write; name "
                    f"another folder"
                )
            with Appended(log) as fresh:
                fresh.add(_line({"format": _FORMAT, "kind": self.kind.name}), sync=True)
        content = log.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.splitlines()
        try:
            head = json.loads(lines[0])
            if head.get("format") != _FORMAT:
                raise CorpusError(
                    f"{log} is of another version ({head.get('format')}; this one writes {_FORMAT})"
                )
            if head["kind"] != self.kind.name:
                raise CorpusError(
                    f"{self.path} holds {head['kind']}, not {self.kind.name}; name another folder"
                )
            self.calls = [_call(json.loads(line)) for line in lines[1:]]
        except CorpusError:
            raise
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise CorpusError(f"{log} is damaged ({error}); name another folder") from error
        return Appended(log, len(whole))

    def add(self, call: Call) -> None:
        """Append a call, and hand it to the disk.

        Raises:
            StorageError: the disk is full; what was written before stays.
        """
        line = {
            "cell": call.cell,
            "writer": call.writer,
            "prompt": call.prompt,
            "records": call.records,
            "refused": [[one.reason, one.detail] for one in call.refused],
        }
        self._file.add(_line(line), sync=True)
        self.calls.append(call)

    def records(self) -> Iterator[dict[str, Any]]:
        """All texts that were taken."""
        for call in self.calls:
            yield from call.records

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._lock.release()


def export(folder: Folder, order: Sequence[Cell]) -> list[Path]:
    """Write the corpus's files from the log, each whole or not at all: a file a topic for stories, one file
    otherwise; texts in the order of their cells.

    Raises:
        StorageError: a file cannot be written.
    """
    place = {cell_key(cell): at for at, cell in enumerate(order)}
    parts: defaultdict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for call in folder.calls:
        for record in call.records:
            name = record["topic"] if folder.kind.by_topic else folder.kind.name
            parts[name].append((place.get(call.cell, len(place)), record))
    files = []
    for name, placed in sorted(parts.items()):
        file = folder.path / f"{_safe(name)}.jsonl"
        lines = (
            json.dumps(record, ensure_ascii=False) for _, record in sorted(placed, key=lambda one: one[0])
        )
        write_text(file, "".join(f"{line}\n" for line in lines))
        files.append(file)
    return files


def _line(fields: Mapping[str, Any]) -> bytes:
    return (json.dumps(fields, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _call(line: dict[str, Any]) -> Call:
    refused = tuple(Refusal(reason, detail) for reason, detail in line["refused"])
    return Call(line["cell"], line["writer"], line["prompt"], tuple(line["records"]), refused)


def _safe(topic: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in topic)
