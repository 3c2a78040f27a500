"""The verdicts on one recipe's checkpoints, a line of JSON each, and the lines they draw over training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from affekt.atomic import write_text
from affekt.audit.gate import Verdict
from affekt.concepts.jsonl import records
from affekt.errors import CorpusError, StorageError

__all__ = ["Entry", "agree", "append", "entry", "read_history"]

FORMAT = "affekt.history/1"


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


def entry(verdict: Verdict, step: float | None, before: Sequence[Entry]) -> Entry:
    """A checkpoint's entry: every shift that some rule watches.

    Raises:
        StorageError: the history is one of shifts against another reference.
    """
    comparison, seen = verdict.comparison, {}
    agree(before, comparison.against)
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
    return Entry(place, comparison.tuned, verdict.word, now, tuple(seen.values()), comparison.against)


def agree(history: Sequence[Entry], against: str) -> None:
    """Checks that a history can go on with shifts against this reference; StorageError where it cannot."""
    for one in history:
        if one.against != against:
            raise StorageError(
                f"the history is one of shifts against {one.against}; those against {against} do not go on "
                "with its lines, so keep them in another file"
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
                found.append(Entry(**{**row, "shifts": tuple(row["shifts"])}))
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
