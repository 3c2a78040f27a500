"""The verdicts on one recipe's checkpoints, a line of JSON each, and the lines they draw over training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from affekt.atomic import write_text
from affekt.audit.gate import Verdict
from affekt.audit.prompts import Prompt, digest
from affekt.concepts.jsonl import records
from affekt.errors import CorpusError, StorageError
from affekt.guards.calibration import vectors_hash
from affekt.models.model import Identity
from affekt.vectors import ConceptVectors

__all__ = ["Entry", "Line", "agree", "append", "entry", "line_of", "read_history", "record", "same_line"]

FORMAT = "affekt.history/1"


@dataclass(frozen=True)
class Line:
    """What all checkpoints of a history share; shifts of others are no points of its lines."""

    base: str
    """Name of the base. Another name of the same weights goes on with the line."""
    base_weights: str
    """Hash of its weights."""
    vectors: str
    """Hash of the vectors that both were read by."""
    prompts: str
    """Hash of what was asked."""
    reply_tokens: int
    """The longest reply."""


@dataclass(frozen=True)
class Entry:
    """One checkpoint."""

    step: float
    """Where in training it stands; its place in the history unless given."""
    tuned: str
    """The model."""
    verdict: str
    """`pass`, `warn` or `fail`."""
    time: str
    """When it was judged, in UTC."""
    shifts: tuple[Mapping[str, Any], ...]
    """What the rules watch: view, group, name, shift, low, high, floor, called."""
    against: str = "base"
    """What it was held against: `base`, or the mean of `controls`."""
    line: Line | None = None
    """What it was measured by; None in an entry that does not say, which goes with any."""


def line_of(base: Identity, vectors: ConceptVectors, prompts: Sequence[Prompt], reply_tokens: int) -> Line:
    """What a history of checkpoints of this base, so measured, has in each entry."""
    read = vectors_hash(vectors, vectors.read_layer)
    return Line(base.name, base.weights_sha256, read, digest(prompts), reply_tokens)


def entry(verdict: Verdict, step: float | None, before: Sequence[Entry], line: Line | None = None) -> Entry:
    """A checkpoint's entry: every shift that some rule watches.

    Raises:
        StorageError: the history is one of shifts against another reference, or measured otherwise.
    """
    comparison, seen = verdict.comparison, {}
    agree(before, comparison.against)
    if line is not None:
        same_line(before, line)
    for finding in verdict.findings:
        rule = finding.rule
        for view in rule.views or comparison.views:
            for group in rule.groups:
                for name in rule.of:
                    one = comparison.at(view, group, name)
                    kept = ("view", "group", "name", "shift", "low", "high", "floor", "called")
                    seen[view, group, name] = {key: getattr(one, key) for key in kept}
    place = float(len(before) + 1) if step is None else step
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Entry(place, comparison.tuned, verdict.word, now, tuple(seen.values()), comparison.against, line)


def agree(history: Sequence[Entry], against: str) -> None:
    """Checks that a history can go on with shifts against this reference; StorageError where it cannot."""
    for one in history:
        if one.against != against:
            raise StorageError(
                f"the history is one of shifts against {one.against}; those against {against} do not go on "
                "with its lines, so keep them in another file"
            )


def same_line(history: Sequence[Entry], line: Line) -> None:
    """Checks that a history was measured as this line is; StorageError, naming what differs, where not."""
    for one in history:
        if one.line is None:
            continue
        differs = [
            f"{what} ({str(was)[:12]}, now {str(now)[:12]})"
            for what, was, now in (
                (f"the weights of the base {line.base}", one.line.base_weights, line.base_weights),
                ("the vectors", one.line.vectors, line.vectors),
                ("the prompts", one.line.prompts, line.prompts),
                ("the tokens of a reply", one.line.reply_tokens, line.reply_tokens),
            )
            if was != now
        ]
        if differs:
            raise StorageError(
                f"the history's checkpoint {one.tuned} (step {one.step:g}, base {one.line.base}) was "
                f"measured otherwise: other {'; other '.join(differs)}; go on as it was, or keep "
                "these in another file"
            )


def read_history(path: Path) -> list[Entry]:
    """The checkpoints so far, by step; none where there is no file yet.

    Raises:
        StorageError: a line that is no entry; the file is left as it is.
    """
    if not path.exists():
        return []
    found = []
    try:
        for where, row in records(path):
            if row.pop("format", None) != FORMAT:
                raise CorpusError(f"{where}: not an entry of a history")
            try:
                line = Line(**row["line"]) if row.get("line") else None
                found.append(Entry(**{**row, "shifts": tuple(row["shifts"]), "line": line}))
            except (TypeError, KeyError) as error:
                raise CorpusError(f"{where}: not an entry of a history ({error})") from error
    except CorpusError as error:
        raise StorageError(f"the history is damaged: {error}; mend or move the file") from error
    return sorted(found, key=lambda one: one.step)


def append(path: Path, entries: Sequence[Entry], new: Entry) -> list[Entry]:
    """Writes the history with one entry more; an entry of the same step and model is replaced."""
    kept = [one for one in entries if (one.step, one.tuned) != (new.step, new.tuned)]
    whole = sorted([*kept, new], key=lambda one: one.step)
    write_text(path, "".join(json.dumps({"format": FORMAT, **asdict(one)}) + "\n" for one in whole))
    return whole


def record(path: Path, verdict: Verdict, step: float | None, line: Line) -> list[Entry]:
    """Adds a checkpoint to the history as the file is now: what others added since it was last read stays.

    Of several processes one writes at a time, by a lock beside the file.

    Raises:
        StorageError: the history does not go on with this checkpoint, is damaged, or cannot be written.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire()
    except OSError as error:
        raise StorageError(f"could not write {path}: {error.strerror or error}") from error
    try:
        before = read_history(path)
        return append(path, before, entry(verdict, step, before, line))
    finally:
        lock.release()
