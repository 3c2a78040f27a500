"""The documents of a part, read again from its file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from affekt.errors import CorpusError
from affekt.scoring.document import Columns, Document, document
from affekt.scoring.files import File, Row, rows_of
from affekt.scoring.survey import Part

__all__ = ["Reader"]


class Reader:
    """Goes forward through a file as parts that lie further on are asked for, and opens it anew for others.

    A row group of Parquet is decoded from its start; without this, each of its many parts would do that."""

    def __init__(self, files: Sequence[File], columns: Columns) -> None:
        self._files, self._columns = files, columns
        self._rows: Iterator[Row] | None = None
        self._file, self._next = -1, 0

    def documents(self, part: Part) -> list[Document]:
        """The part's documents in order.

        Raises:
            CorpusError: the file is no longer what was surveyed.
        """
        file = self._files[part.file]
        if self._rows is None or self._file != part.file or self._next > part.first:
            self._rows = rows_of(file, self._columns.wanted, part.first, part.offset)
            self._file = part.file
        left_out, found = set(part.without), list[Document]()
        while len(found) < part.count:
            row = next(self._rows, None)
            if row is None:
                self._rows = None
                raise CorpusError(f"{file.name} has changed since the corpus was gone through; start again")
            self._next = row.number + 1
            if row.number >= part.first and row.number not in left_out:
                found.append(document(file, row, self._columns, part.ordinal + len(found)))
        return found
