"""`affekt report`: studies of one or several models as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    folders: Annotated[list[Path], typer.Argument(help="Folders written by `affekt study`, one a model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page.")] = Path("report.html"),
) -> None:
    """Render one self-contained HTML page: headline, checklist, every figure with its caption, limits."""
    from affekt.atomic import write_text
    from affekt.errors import StorageError
    from affekt.studies import report as rendered
    from affekt.studies.keeping import load_result
    from affekt.studies.report import headline
    from affekt.studies.run import STUDIES

    models, provenance = {}, {}
    for folder in folders:
        found = [one for name in STUDIES if (one := load_result(folder / name)) is not None]
        if not found:
            raise StorageError(
                f"no finished study in {folder}; run: affekt study MODEL --out {folder.parent}"
            )
        models[folder.name] = found
        provenance[folder.name] = [
            f"{one.study}: {folder.name}/{one.study}/result.json, tables "
            f"{', '.join(t.name for t in one.tables) or 'none'}"
            for one in found
        ]
    write_text(out, rendered(models, provenance))
    for name, found in models.items():
        typer.echo(headline(name, found))
    typer.echo(f"report: {out}")
