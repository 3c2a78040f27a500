"""Answers as JSON Lines: appended one by one, and found again when a stopped run goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from affekt.atomic import Appended
from affekt.errors import StorageError

if TYPE_CHECKING:
    from affekt.cli.records import Order
    from affekt.engines import Reply

__all__ = ["Answers", "answer"]

DIGITS = 3
"""Decimals of a z."""


class Answers:
    """The file of a run. What it holds on opening is kept; the rest of a torn last line is dropped."""

    def __init__(self, path: Path, orders: Sequence[Order]) -> None:
        """Finds the answers that are there already.

        Args:
            path: the file; it is made if it is not there.
            orders: what is to be answered.

        Raises:
            StorageError: the file cannot be written, holds lines that are no answers, or an answer to another
                request, model, vectors or policy of the same id.
        """
        self.path = path
        wanted = {order.id: order for order in orders}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes() if path.exists() else b""
            kept, self.done = _found(path, content, wanted)
            self._file = Appended(path, kept)
            if kept == len(content) > 0 and not content.endswith(b"\n"):
                self._file.add(b"\n")
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(f"could not write {path}: {error.strerror or error}") from error
        self.dropped = len(content) - kept
        """Bytes of an unfinished answer at the end, dropped."""

    def write(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Appends the answers to one request, all or none of them, and hands them to the system.

        Raises:
            StorageError: the disk is full or the file is gone; what was written before stays.
        """
        text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
        self._file.add(text.encode("utf-8", "backslashreplace"))

    def __enter__(self) -> Answers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _found(path: Path, content: bytes, wanted: Mapping[str, Order]) -> tuple[int, frozenset[str]]:
    """How many bytes are whole answers, and the ids whose answers are all there."""
    counts: dict[str, int] = {}
    starts: dict[str, int] = {}
    at, last = 0, ""
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            record = _parsed(line)
            if record is None:
                if number == len(lines) or not any(rest.strip() for rest in lines[number:]):
                    break
                raise StorageError(
                    f"{path}:{number}: not an answer of affekt generate; give another file to write to"
                )
            last = str(record["id"])
            order = wanted.get(last)
            if order is not None and record.get("key") != order.key:
                raise StorageError(
                    f"{path}:{number}: an answer of the id {last!r} to another request, model, vectors or "
                    f"policy; remove it or give another file to write to"
                )
            starts.setdefault(last, at)
            counts[last] = counts.get(last, 0) + 1
        at += len(line) + 1
    kept = min(at, len(content))
    if last in wanted and counts[last] < wanted[last].request.n:
        kept = starts[last]
        del counts[last]
    return kept, frozenset(counts)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "id" in record else None


def answer(reply: Reply, order: Order) -> dict[str, Any]:
    """One reply as a line of the file."""
    line: dict[str, Any] = {"id": reply.request}
    if order.request.n > 1:
        line["choice"] = reply.choice
    line |= {
        "text": reply.text,
        "finish_reason": reply.finish_reason,
        "tokens": len(reply.tokens),
        "prompt_tokens": reply.prompt_tokens,
    }
    if reply.reading is not None:
        line["readings"] = _readings(reply)
    if reply.logprobs:
        line["logprobs"] = [round(value, 5) for value in reply.logprobs]
    if order.request.guard is not None:
        line |= {"flagged": reply.flagged, "replaced": reply.replaced}
        line["events"] = [event.to_dict() if hasattr(event, "to_dict") else event for event in reply.events]
    if order.meta is not None:
        line["meta"] = order.meta
    return line | {"key": order.key}


def _readings(reply: Reply) -> dict[str, Any]:
    """Per concept, the mean with the half width of its 95 % interval, the largest z and its token (counted in
    the reply, from 0), and z at the prompt's end."""
    from affekt.reading.pieces import label

    reading = reply.reading
    assert reading is not None
    first = reply.prompt_tokens
    rows = [i for i in range(first, len(reading)) if reading.roles[i] != "special"]
    said = reading.take(rows)
    mean, peak = (said.mean(), said.peak()) if rows else (None, None)
    concepts = {}
    for column, name in enumerate(reading.concepts):
        own: dict[str, Any] = {"prompt_end": round(float(reading.z[first - 1, column]), DIGITS)}
        if mean is not None and peak is not None and peak.tokens is not None:
            at = peak.tokens[column]
            own["mean"] = round(float(mean.z[column]), DIGITS)
            own["margin"] = None if mean.margin is None else round(float(mean.margin[column]), DIGITS)
            own["max"] = round(float(peak.z[column]), DIGITS)
            own["max_at"] = {"token": rows[at] - first, "text": label(said, at)}
        concepts[name] = own
    return {"layer": reading.layer, "n": len(rows), "concepts": concepts}
