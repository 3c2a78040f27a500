"""Readings as Parquet: a row for each document, and a row for each token.

A column of a concept is called by what it holds and by the name, such as `mean.grief-stricken`: the name is
all that follows the first dot, whatever stands in it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from affekt.reading.reading import Reading
from affekt.scoring.document import Document

__all__ = ["documents_table", "parquet", "tokens_table"]


def documents_table(
    documents: Sequence[Document], readings: Sequence[Reading], cut: Sequence[bool], concepts: Sequence[str]
) -> Any:
    """A row for each document.

    Columns: `id`, `file`, `row`, `tokens` (how many count), `cut` (whether its end was left out), and by
    concept `mean.`, `max.` (z over the tokens that count; null where none does) and `at.` (the token of the
    greatest).

    Returns:
        A `pyarrow.Table`.
    """
    import pyarrow as pa

    counted = [reading.content_rows() for reading in readings]
    shape = (len(readings), len(concepts))
    mean, most = np.full(shape, np.nan, dtype=np.float32), np.full(shape, np.nan, dtype=np.float32)
    at = np.zeros(shape, dtype=np.int32)
    for row, (reading, rows) in enumerate(zip(readings, counted, strict=True)):
        if rows:
            z = reading.z[rows]
            mean[row], most[row] = z.mean(axis=0, dtype=np.float64), z.max(axis=0)
            at[row] = np.array(rows)[z.argmax(axis=0)]
    empty = np.array([not rows for rows in counted], dtype=bool)
    columns: dict[str, Any] = {
        "id": pa.array([one.id for one in documents], pa.string()),
        "file": pa.array([one.file for one in documents], pa.string()),
        "row": pa.array([one.row for one in documents], pa.int64()),
        "tokens": pa.array([len(rows) for rows in counted], pa.int32()),
        "cut": pa.array(list(cut), pa.bool_()),
    }
    for column, name in enumerate(concepts):
        for kind, values in (("mean", mean), ("max", most), ("at", at)):
            columns[f"{kind}.{name}"] = pa.array(np.ascontiguousarray(values[:, column]), mask=empty)
    return pa.table(columns)


def tokens_table(documents: Sequence[Document], readings: Sequence[Reading], concepts: Sequence[str]) -> Any:
    """A row for each token, also for those that do not count.

    Columns: `id` (the document's), `token` (its place, from 0), `text`, `start` and `end` (its characters in
    the document; in the rendered chat), `role`, `counts`, and `z.` by concept.

    Returns:
        A `pyarrow.Table`.
    """
    import pyarrow as pa

    lengths = [len(reading) for reading in readings]
    counts = np.zeros(sum(lengths), dtype=bool)
    start = 0
    for reading in readings:
        counts[[start + row for row in reading.content_rows()]] = True
        start += len(reading)
    spans = [span for reading in readings for span in reading.spans]
    ids = [one.id for one, length in zip(documents, lengths, strict=True) for _ in range(length)]
    columns: dict[str, Any] = {
        "id": pa.array(ids, pa.string()),
        "token": pa.array([at for length in lengths for at in range(length)], pa.int32()),
        "text": pa.array([token for reading in readings for token in reading.tokens], pa.string()),
        "start": pa.array([start for start, _ in spans], pa.int32()),
        "end": pa.array([end for _, end in spans], pa.int32()),
        "role": pa.array([role for reading in readings for role in reading.roles], pa.string()),
        "counts": pa.array(counts),
    }
    whole = [reading.z for reading in readings] or [np.zeros((0, len(concepts)), dtype=np.float32)]
    z = np.concatenate(whole).astype(np.float32)
    for column, name in enumerate(concepts):
        columns[f"z.{name}"] = pa.array(np.ascontiguousarray(z[:, column]))
    return pa.table(columns)


def parquet(table: Any) -> bytes:
    """A table as the bytes of a Parquet file."""
    import pyarrow.parquet

    # A dictionary of numbers that hardly repeat would be as large again as the numbers.
    numbers = [field.name for field in table.schema if pyarrow.types.is_floating(field.type)]
    others = [name for name in table.column_names if name not in set(numbers)]
    made = io.BytesIO()
    pyarrow.parquet.write_table(
        table,
        made,
        compression="zstd",
        use_dictionary=others or False,
        use_byte_stream_split=numbers or False,
    )
    return made.getvalue()
