"""JSON Lines in, one record at a time, each with the place it stands for the errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from affekt.errors import CorpusError

__all__ = ["records"]

_BOM = b"\xef\xbb\xbf"


def records(path: Path | Traversable) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield `("file:line", record)` for each line that is not blank.

    Lines are cut at line feeds only, since a JSON string may hold U+2028 and the like as they are.

    Raises:
        CorpusError: the file cannot be read, or a line is not UTF-8, not JSON or not an object.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(content.removeprefix(_BOM).split(b"\n"), start=1):
        if line.strip():
            where = f"{path}:{number}"
            yield where, _record(line, where)


def _record(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise CorpusError(f"{where}: not UTF-8 at byte {error.start + 1}; save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        raise CorpusError(f"{where}: not JSON at column {error.colno} ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where}: not a record ({error})") from error
    if not isinstance(value, dict):
        raise CorpusError(f"{where}: expected a JSON object, found {type(value).__name__}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys all differ; `json` alone would keep the last of two and say nothing."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice")
    return made
