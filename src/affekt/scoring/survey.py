"""One pass over a corpus before any work: every record checked, and the whole dealt out into parts.

What the parts are depends on the corpus and their size alone, never on who works on them; so a part reads the
same whoever reads it, and two workers give what one gives.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from affekt.errors import CorpusError
from affekt.scoring.document import Columns, Document, document
from affekt.scoring.files import Damaged, File, Row, find_files, rows_of

__all__ = ["PART", "Fault", "Part", "Survey", "survey"]

PART = 256
"""Documents of a part: what is written, and what a stop loses, as one."""

CHARACTERS = 500_000
"""Most characters of a part, a last document that passes them included."""

TOLD = 1000
"""Documents between two reports of progress."""


@dataclass(frozen=True)
class Part:
    """Documents of one file that follow one another."""

    number: int
    """Its place among the parts, from 0."""
    file: int
    """Place of its file."""
    first: int
    """Row of its first document."""
    offset: int
    """Where that row's line begins in JSON Lines, in bytes."""
    ordinal: int
    """Place of its first document in the corpus."""
    count: int
    """How many documents."""
    without: tuple[int, ...] = ()
    """Rows in between that are left out."""

    @property
    def name(self) -> str:
        """What its files are called, without a suffix."""
        return f"part-{self.number:06d}"


@dataclass(frozen=True)
class Fault:
    """What cannot be used."""

    where: str
    """The file, or the file and the row or line, counted from 1."""
    why: str
    """What is wrong with it."""

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@dataclass(frozen=True)
class Survey:
    """A corpus as it was found."""

    files: tuple[File, ...]
    """Its files in order; also those left out."""
    columns: Columns
    """Where in a record a document is."""
    parts: tuple[Part, ...]
    """All documents, each in one part."""
    faults: tuple[Fault, ...]
    """What is left out."""
    digest: str
    """Hash of every document's id and source, in order."""

    @property
    def documents(self) -> int:
        """How many documents there are to read."""
        return sum(part.count for part in self.parts)


def survey(
    url: str,
    columns: Columns | None = None,
    *,
    size: int = PART,
    skip: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Survey:
    """Goes through a corpus once. Holds about 100 bytes a document, for the ids, and no text.

    Args:
        url: file, folder, pattern or URL.
        columns: where a document is.
        size: most documents of a part.
        skip: leave out what cannot be used; without it, that is an error.
        progress: told the documents seen so far, now and then.

    Raises:
        CorpusError: there is nothing to read, or something cannot be used; the first such thing is named.
        StorageError: for a URL of an unknown kind.
    """
    columns = columns or Columns()
    files = tuple(find_files(url))
    faults: list[Fault] = []
    parts: list[Part] = []
    total = hashlib.sha256()
    seen: set[bytes] = set()
    documents = 0
    for place, file in enumerate(files):
        dealer = _Dealer(place, len(parts), documents, size)
        own, inside = total.copy(), set[bytes]()
        wrong: list[Fault] = []
        try:
            for row in rows_of(file, columns.wanted):
                try:
                    one = document(file, row, columns, dealer.ordinal)
                    key = hashlib.blake2b(one.id.encode(), digest_size=16).digest()
                    if columns.id is not None and (key in seen or key in inside):
                        raise CorpusError(f"the id {one.id!r} stands in the corpus already")
                except CorpusError as error:
                    wrong.append(Fault(f"{file.name}:{row.number + 1}", str(error)))
                    dealer.leave_out(row)
                    continue
                if columns.id is not None:
                    inside.add(key)
                own.update(json.dumps([one.id, one.source], default=str).encode())
                dealer.take(row, one)
                if progress is not None and dealer.ordinal % TOLD == 0:
                    progress(dealer.ordinal)
        except Damaged as error:
            # Nothing of it is used: what a damaged file holds before the damage is not known to be sound.
            where, _, why = str(error).partition(": ")
            faults.append(Fault(where, why))
            continue
        total, documents = own, dealer.ordinal
        seen |= inside
        faults += wrong
        parts += dealer.done()
    _refuse(url, faults, skip, documents)
    return Survey(files, columns, tuple(parts), tuple(faults), total.hexdigest())


class _Dealer:
    """Deals the documents of one file out into parts."""

    def __init__(self, file: int, number: int, ordinal: int, size: int) -> None:
        self.ordinal = ordinal
        self._file, self._number, self._size = file, number, size
        self._parts: list[Part] = []
        self._first: Row | None = None
        self._count = self._characters = 0
        self._without: list[int] = []

    def take(self, row: Row, one: Document) -> None:
        if self._first is None:
            self._first = row
        self._count += 1
        self._characters += one.size
        self.ordinal += 1
        if self._count >= self._size or self._characters >= CHARACTERS:
            self._close()

    def leave_out(self, row: Row) -> None:
        if self._first is not None:
            self._without.append(row.number)

    def done(self) -> Sequence[Part]:
        self._close()
        return self._parts

    def _close(self) -> None:
        if self._first is not None:
            number, at = self._number + len(self._parts), self.ordinal - self._count
            first = self._first
            self._parts.append(
                Part(number, self._file, first.number, first.offset, at, self._count, tuple(self._without))
            )
        self._first, self._count, self._characters, self._without = None, 0, 0, []


def _refuse(url: str, faults: Sequence[Fault], skip: bool, documents: int) -> None:
    if faults and not skip:
        more = f"; and {len(faults) - 1:,} more" if len(faults) > 1 else ""
        raise CorpusError(f"{faults[0]}{more} (--skip-corrupt leaves out what cannot be used)")
    if not documents:
        raise CorpusError(f"{url}: no document to read")
