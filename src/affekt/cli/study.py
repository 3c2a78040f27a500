"""`affekt study`: the paper's experiments on a model."""

from __future__ import annotations

import shlex
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.cli.options import Dtype, ModelName, Vectors
from affekt.cli.session import open_model, open_session
from affekt.progress import progress_bar

if TYPE_CHECKING:
    from affekt.concepts.dialogues import Dialogues
    from affekt.studies import Lab, Scale
    from affekt.vectors import ConceptVectors

__all__ = ["study"]

NAMES = (
    "geometry, lens, corpus, implicit, positions, intensity, layers, causal, preferences, speakers, "
    "deflection, drift"
)


def study(
    model: ModelName,
    vectors: Vectors = None,
    only: Annotated[
        str | None, typer.Option(metavar="STUDY,...", help=f"Some of: {NAMES}; by default all.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full/--quick", help="All prompts and arms, or a first look in minutes.")
    ] = False,
    corpus: Annotated[
        Path | None, typer.Option(help="Texts for the study of passages: plain text or JSON Lines with text.")
    ] = None,
    dialogues: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of `affekt corpus write two_emotions` or `deflection`; may be repeated."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the results; each model has one in it.")
    ] = Path("study"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again what was run before.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that share the studies; by default what suits the machine."),
    ] = None,
    png: Annotated[
        bool, typer.Option("--png/--no-png", help="Also draw each figure as PNG, where a Chromium is there.")
    ] = True,
    dtype: Dtype = "auto",
) -> None:
    """Run the paper's experiments: tables in Parquet and CSV, figures, and a checklist judged by stated
    rules.

    Each study is kept when it is done, and of the longest ones each part; a stopped run goes on from there.
    `affekt report` makes the page.
    """
    from affekt.concepts.dialogues import Dialogues
    from affekt.models.fingerprint import file_sha256
    from affekt.models.machine import choose_workers
    from affekt.studies import STUDIES, Crew, Lab, run
    from affekt.studies.corpus import passages
    from affekt.studies.report import headline, save_background
    from affekt.studies.report.background import Run, check_same_model
    from affekt.studies.report.pictures import draw
    from affekt.studies.run import chosen
    from affekt.vectors.shelf import shelf

    wanted = [part.strip() for part in only.split(",") if part.strip()] if only else []
    chosen(wanted)
    texts = passages(corpus) if corpus is not None else []
    more = Dialogues.load(dialogues or ())
    opened, held, _ = open_session(model, vectors, dtype)
    name = opened.identity.name
    scale: Scale = "full" if full else "quick"
    folder, started = out / name, time.monotonic()
    check_same_model(folder, held)
    file = vectors or shelf(name)
    digest = file_sha256(file) if file.exists() else "not kept"
    results, ran = [], set()
    try:
        with progress_bar("in all") as progress:
            lab = Lab(opened, held, scale, progress, more)
            side_by_side = workers or choose_workers(opened.size, opened.device)
            crew = Crew(partial(_lab, model, dtype, held, scale, more), side_by_side)
            for result, kept in run(lab, folder, wanted, texts, fresh, crew if side_by_side > 1 else None):
                results.append(result)
                ran |= set() if kept else {result.study}
                typer.echo(f"\n{result.study} ({_took(result.seconds)}): {result.headline}")
                for check in result.checks:
                    typer.echo(f"  {check.verdict:<15} {check.what}: {check.here}")
    except KeyboardInterrupt:
        typer.echo("stopped; what was finished is kept, and the same command goes on", err=True)
        raise
    finally:
        if results:
            seconds = round(time.monotonic() - started, 1)
            told = Run(_command(), scale, seconds, tuple(name for name in STUDIES if name in ran))
            save_background(folder, held, digest, str(opened.device), told, lab.has_template)
    results.sort(key=lambda result: list(STUDIES).index(result.study))
    why = draw(folder, results) if png else None
    if why is not None:
        typer.echo(f"no PNGs: {why}", err=True)
    where = "" if out == Path("study") else f" --study {out}"
    typer.echo(f"\n{headline(name, results)}\nresults: {folder}; the page: affekt report {name}{where}")


def _lab(model: str, dtype: str, vectors: ConceptVectors, scale: Scale, more: Dialogues) -> Lab:
    """What a process of the crew works with."""
    from affekt.studies import Lab

    return Lab(open_model(model, dtype), vectors, scale, more=more)


def _took(seconds: float | None) -> str:
    """How long a study ran; one without a time was kept."""
    if seconds is None:
        return "kept"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _command() -> str:
    """The command as it was typed, without the program's folder."""
    return shlex.join(["affekt", *sys.argv[1:]])
