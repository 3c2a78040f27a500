"""Results on disk: tables as Parquet and CSV, figures as plotly's JSON, all whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affekt.atomic import replacing, write_text
from affekt.errors import StorageError
from affekt.studies.result import Check, Drawn, Result, Table

__all__ = ["FORMAT", "format_of", "key_of", "load_result", "save_result"]

FORMAT = "affekt.study/2"


def key_of(facts: dict[str, Any]) -> str:
    """A hash of everything a result depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def save_result(folder: Path, result: Result, key: str) -> None:
    """Writes a study's folder; `result.json` comes last, so that a folder without it is one not finished.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    shutil.rmtree(folder, ignore_errors=True)
    for table in result.tables:
        made = pa.table(dict(table.columns))
        with replacing(folder / f"{table.name}.parquet") as part:
            pa.parquet.write_table(made, part)
        with replacing(folder / f"{table.name}.csv") as part:
            pa.csv.write_csv(made, part)
    for one in result.drawn:
        write_text(folder / f"{one.name}.plotly.json", one.drawing.to_json())
    record = {
        "format": FORMAT,
        "key": key,
        **{name: getattr(result, name) for name in ("study", "title", "headline", "notes", "about")},
        "tables": [table.name for table in result.tables],
        "drawn": [{"name": one.name, "caption": one.caption} for one in result.drawn],
        "checks": [asdict(check) for check in result.checks],
    }
    write_text(folder / "result.json", json.dumps(record, indent=1, allow_nan=True) + "\n")


def format_of(folder: Path) -> str | None:
    """The format that a study's folder says it has; None where no study is finished or whole."""
    file = folder / "result.json"
    try:
        return str(json.loads(file.read_text(encoding="utf-8")).get("format")) if file.exists() else None
    except (OSError, ValueError, AttributeError):
        return None


def load_result(folder: Path, key: str | None = None) -> Result | None:
    """A finished study; None where there is none, or one of another key.

    Raises:
        StorageError: the folder's files do not fit together.
    """
    import plotly.io
    import pyarrow.parquet

    file = folder / "result.json"
    if not file.exists():
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        if record.get("format") != FORMAT or (key is not None and record["key"] != key):
            return None
        return Result(
            study=record["study"],
            title=record["title"],
            headline=record["headline"],
            tables=tuple(
                Table(name, pyarrow.parquet.read_table(folder / f"{name}.parquet").to_pydict())
                for name in record["tables"]
            ),
            drawn=tuple(
                Drawn(
                    one["name"],
                    plotly.io.from_json((folder / f"{one['name']}.plotly.json").read_text(encoding="utf-8")),
                    one["caption"],
                )
                for one in record["drawn"]
            ),
            checks=tuple(Check(**check) for check in record["checks"]),
            notes=tuple(record["notes"]),
            about=record["about"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{folder} is damaged ({error}); remove it and run the study again") from error
