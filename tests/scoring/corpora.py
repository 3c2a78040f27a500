"""Small corpora as files, a tiny engine in the place of the one that a worker would open, and results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from affekt.engines.transformers import TransformersEngine
from affekt.reading import Reading
from affekt.scoring import Settings, scorer
from tests.engines.small import engine as made_engine

WORDS = "She wrote a letter to her brother and he was angry afraid proud calm of the garden what now".split()


def texts(n: int) -> list[str]:
    """`n` different texts of very different lengths."""
    return [
        " ".join(WORDS[(i * 7 + j * (1 + i % 5)) % len(WORDS)] for j in range(3 + 11 * i % 40)) + f" {i}."
        for i in range(n)
    ]


def parquet(path: Path, rows: Sequence[dict[str, Any]], group: int = 5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=group)
    return path


def lines(path: Path, rows: Sequence[dict[str, Any] | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(made) + "\n", encoding="utf-8")
    return path


def corpus(folder: Path, n: int = 23) -> Path:
    """`n` documents over two Parquet files and one of JSON Lines, with ids."""
    rows = [{"id": f"d{i}", "text": text} for i, text in enumerate(texts(n))]
    parquet(folder / "a.parquet", rows[: n // 2])
    parquet(folder / "b" / "b.parquet", rows[n // 2 : n - 4], group=100)
    lines(folder / "c.jsonl", rows[n - 4 :])
    return folder


class Spied(TransformersEngine):
    """Counts the texts that it reads, and can be stopped as by Ctrl-C."""

    texts: int = 0
    stop_after: int | None = None

    def read(self, sources: Any, *words: Any, **named: Any) -> list[Reading]:
        if self.stop_after is not None and self.texts >= self.stop_after:
            raise KeyboardInterrupt
        self.texts += len(sources)
        return super().read(sources, *words, **named)


def use(monkeypatch: pytest.MonkeyPatch) -> Spied:
    """Has workers of this process open a tiny model."""
    plain = made_engine()
    spied = Spied(plain.model, plain.vectors)
    monkeypatch.setattr(scorer, "open_engine", lambda *_, **__: spied)
    return spied


def settings(**given: Any) -> Settings:
    return Settings(**{"model": "m", "part": 4, "kept": 3} | given)


def table(folder: Path) -> dict[str, list[Any]]:
    """All parts of a folder as one table."""
    return pa.concat_tables(pq.read_table(file) for file in sorted(folder.glob("*.parquet"))).to_pydict()


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of a result with its bytes, but for the page, in which plotly draws lots for a name."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != "index.html":
            yield str(file.relative_to(folder)), file.read_bytes()
