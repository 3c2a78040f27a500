"""Where the results come from: model, vectors, versions, commands, and a hash of every table."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from html import escape
from pathlib import Path

from affekt.reading.sheet import table
from affekt.studies.report.background import Background
from affekt.studies.result import Result, Table

__all__ = ["sources"]


def sources(
    subjects: Sequence[tuple[str, Sequence[Result], Background | None, Path | None]],
) -> str:
    """The section on provenance.

    Args:
        subjects: of each model its name, its results, its background and its folder.
    """
    parts = ['<section id="provenance"><h2>Provenance</h2>']
    for name, results, background, folder in subjects:
        parts.append(f"<h3>{escape(name)}</h3>")
        if background is None:
            parts.append("<p>Model, versions and commands are not on record for these results.</p>")
        else:
            parts.append(_told(background))
        rows = [
            (result.study, each.name, f"{_rows(each):,}", _hash(folder, result, each.name))
            for result in results
            for each in result.tables
        ]
        if rows:
            parts.append(
                table(("study", "table (Parquet and CSV)", "rows", "SHA-256 of the CSV"), rows, words=4)
            )
    parts.append("</section>")
    return "".join(parts)


def _told(background: Background) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in background.versions.items())
    rows = [
        *background.facts,
        ("machine of the last run", background.machine),
        ("versions at the last run", versions),
    ]
    commands = "\n".join(
        f"$ {run.command}    # {run.scale}, {run.seconds:,.0f} s: "
        f"{', '.join(run.ran) or 'all kept from before'}"
        for run in background.runs
    )
    return table(("", ""), rows, words=2) + f'<pre tabindex="0">{escape(commands)}</pre>'


def _rows(made: Table) -> int:
    return max((len(column) for column in made.columns.values()), default=0)


def _hash(folder: Path | None, result: Result, name: str) -> str:
    file = folder / result.study / f"{name}.csv" if folder is not None else None
    return sha256(file.read_bytes()).hexdigest()[:16] if file is not None and file.exists() else "–"
