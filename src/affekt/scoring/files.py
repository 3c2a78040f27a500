"""The files of a corpus: found behind a path or URL, and read record by record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from affekt.errors import CorpusError, closest
from affekt.scoring.place import file_system

__all__ = ["Damaged", "File", "Row", "find_files", "rows_of"]

PARQUET = (".parquet", ".pq")
LINES = (".jsonl", ".ndjson")
PACKED = (".gz", ".bz2", ".xz", ".zst")

AT_ONCE = 1024
"""Rows of a Parquet file decoded at a time."""


class Damaged(CorpusError):
    """A file that is there and cannot be read to its end."""


@dataclass(frozen=True)
class File:
    """One file of a corpus."""

    url: str
    """What opens it."""
    name: str
    """What it is called in results: its path below the corpus."""
    parquet: bool
    """Whether it is Parquet; else JSON Lines."""


@dataclass(frozen=True)
class Row:
    """One record, as far as it could be read."""

    number: int
    """Its row in the file, from 0; for JSON Lines its line, from 0."""
    offset: int
    """Where its line begins, in bytes; 0 for Parquet."""
    fields: dict[str, Any] | None
    """The columns asked for; None where the line is not a JSON object."""
    fault: str = ""
    """What is wrong with the line."""


def find_files(url: str) -> list[File]:
    """The files behind a path or URL: itself, those that a pattern with `*` names, or all that a folder
    holds, in the order of their names.

    Raises:
        CorpusError: there is none.
        StorageError: for a URL of an unknown kind.
    """
    system, path = file_system(url)
    try:
        if "*" in path:
            found = [str(one) for one in system.glob(path)]
            root = path.partition("*")[0].rpartition("/")[0]
        elif system.isdir(path):
            found, root = [str(one) for one in system.find(path)], path
        else:
            found, root = ([path] if system.exists(path) else []), path.rpartition("/")[0]
    except OSError as error:
        raise CorpusError(f"{url}: cannot be read ({error.strerror or error})") from error
    if not found:
        raise CorpusError(f"{url}: no such file or folder")
    files = [
        File(system.unstrip_protocol(one), one.removeprefix(root).lstrip("/"), _suffix(one) in PARQUET)
        for one in sorted(found)
        if _suffix(one) in (*PARQUET, *LINES) and not PurePosixPath(one).name.startswith(".")
    ]
    if not files:
        kinds = ", ".join((*PARQUET, *LINES))
        raise CorpusError(f"{url}: no corpus file there; a corpus is {kinds}, the last two also packed (.gz)")
    return files


def rows_of(file: File, columns: tuple[str, ...], first: int = 0, offset: int = 0) -> Iterator[Row]:
    """The records of a file from one on.

    Args:
        file: the file.
        columns: those wanted; one that JSON Lines lack in a record is missing from its fields.
        first: number of the first record wanted.
        offset: where its line begins, for JSON Lines.

    Raises:
        CorpusError: a Parquet file has no such column.
        Damaged: the file cannot be read to its end.
    """
    return _parquet(file, columns, first) if file.parquet else _lines(file, first, offset)


def _parquet(file: File, columns: tuple[str, ...], first: int) -> Iterator[Row]:
    import fsspec
    import pyarrow
    import pyarrow.parquet

    try:
        with fsspec.open(file.url, "rb") as stream:
            table = pyarrow.parquet.ParquetFile(stream)
            held = table.schema_arrow.names
            for column in columns:
                if column not in held:
                    hint = closest(column, held) or f"; its columns are {', '.join(held) or 'none'}"
                    raise CorpusError(f"{file.name}: no column {column!r}{hint}")
            passed = 0
            for group in range(table.num_row_groups):
                rows = table.metadata.row_group(group).num_rows
                if passed + rows <= first:
                    passed += rows
                    continue
                for batch in table.iter_batches(AT_ONCE, row_groups=[group], columns=list(columns)):
                    if passed + len(batch) > first:
                        for number, fields in enumerate(batch.to_pylist(), passed):
                            if number >= first:
                                yield Row(number, 0, fields)
                    passed += len(batch)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Damaged(f"{file.name}: a damaged Parquet file ({_first_line(error)})") from error


def _lines(file: File, first: int, offset: int) -> Iterator[Row]:
    import fsspec

    try:
        with fsspec.open(file.url, "rb", compression="infer") as stream:
            if offset:
                stream.seek(offset)
            at = offset
            for number, line in enumerate(stream, first):
                start, at = at, at + len(line)
                if number == 0:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    yield _record(number, start, line)
    except (OSError, EOFError, ValueError) as error:
        raise Damaged(f"{file.name}: cannot be read ({_first_line(error)})") from error


def _record(number: int, offset: int, line: bytes) -> Row:
    try:
        fields = json.loads(line)
    except UnicodeDecodeError as error:
        return Row(number, offset, None, f"not UTF-8 at byte {error.start + 1}")
    except (ValueError, RecursionError) as error:
        return Row(number, offset, None, f"not JSON ({error})")
    if not isinstance(fields, dict):
        return Row(number, offset, None, f"expected a JSON object, found {type(fields).__name__}")
    return Row(number, offset, fields)


def _suffix(path: str) -> str:
    name = path.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    suffix = PurePosixPath(name).suffix
    return suffix if name == path.lower() or suffix in LINES else ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
