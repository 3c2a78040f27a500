"""`affekt report`: studies of one or several models as one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from affekt.studies.report import Subject

__all__ = ["report"]


def report(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|FOLDER...", help="Models that were studied, or folders of their results."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page.")] = Path("report.html"),
    study: Annotated[
        Path, typer.Option("--study", help="Where `affekt study` put its results.", show_default=True)
    ] = Path("study"),
    png: Annotated[
        bool, typer.Option("--png/--no-png", help="Also draw each figure as PNG, beside it.")
    ] = True,
) -> None:
    """Render one self-contained HTML page: findings in plain words, checklist, figures, controls, provenance.

    Several models stand side by side in one page.
    """
    from affekt.atomic import write_text
    from affekt.studies.report import headline
    from affekt.studies.report import report as rendered
    from affekt.studies.report.pictures import draw

    subjects = [_subject(name, study) for name in dict.fromkeys(models)]
    write_text(out, rendered(subjects))
    for subject in subjects:
        typer.echo(headline(subject.name, subject.results))
        why = draw(subject.folder, subject.results) if png and subject.folder is not None else None
        if why is not None:
            typer.echo(f"no PNGs: {why}", err=True)
            png = False
    typer.echo(f"report: {out}")


def _subject(name: str, study: Path) -> Subject:
    """The results of a model, by its folder or by its name under `study`.

    Raises:
        StorageError: there are none, or they are of another version; says what to run.
    """
    from affekt.errors import StorageError, closest
    from affekt.studies.keeping import FORMAT, format_of, load_result
    from affekt.studies.report import Subject, load_background
    from affekt.studies.run import STUDIES

    folder = Path(name) if Path(name).is_dir() else study / name
    if not folder.is_dir():
        there = sorted(each.name for each in study.iterdir() if each.is_dir()) if study.is_dir() else []
        hint = closest(name, there) or (f" ({study} has {', '.join(there)})" if there else "")
        raise StorageError(
            f"no results of {name!r} in {study}{hint}; run: affekt study {name} --out {study}, or "
            f"name their folder"
        )
    found = []
    for key in STUDIES:
        written = format_of(folder / key)
        if written not in (None, FORMAT):
            raise StorageError(
                f"{folder / key} was written by another version of affekt ({written}; this one "
                f"reads {FORMAT}); "
                f"run the study again"
            )
        result = load_result(folder / key)
        if result is not None:
            found.append(result)
    if not found:
        raise StorageError(f"no finished study in {folder}; run: affekt study MODEL --out {folder.parent}")
    return Subject(folder.name, tuple(found), load_background(folder), folder)
