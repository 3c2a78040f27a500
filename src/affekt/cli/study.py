"""`affekt study`: the paper's experiments on a model; `affekt report`: the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from affekt.cli.options import Dtype, ModelName, Vectors
from affekt.cli.session import open_session, progress_bar

__all__ = ["study"]

Out = Annotated[Path, typer.Option("--out", help="Folder of the results.")]


def study(
    model: ModelName,
    vectors: Vectors = None,
    only: Annotated[str | None, typer.Option(help="Studies, such as geometry,lens; by default all.")] = None,
    full: Annotated[
        bool, typer.Option("--full/--quick", help="All prompts and arms, or a first look.")
    ] = False,
    corpus: Annotated[
        Path | None, typer.Option(help="Texts for the study of passages: plain text or JSON Lines with text.")
    ] = None,
    out: Out = Path("study"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again what was run before.")] = False,
    dtype: Dtype = "auto",
) -> None:
    """Run the paper's experiments: tables in Parquet and CSV, figures, and a checklist judged by stated
    rules.

    Each study is kept when it is done; a stopped run goes on from there. `affekt report` makes the page.
    """
    from affekt.studies import Lab, run
    from affekt.studies.corpus import passages
    from affekt.studies.report import headline
    from affekt.studies.run import chosen

    wanted = [part.strip() for part in only.split(",")] if only else []
    chosen(wanted)
    texts = passages(corpus) if corpus is not None else []
    opened, held, _ = open_session(model, vectors, dtype)
    folder = out / opened.identity.name
    results = []
    with progress_bar("in all") as progress:
        lab = Lab(opened, held, "full" if full else "quick", progress)
        for result, kept in run(lab, folder, wanted, texts, fresh):
            results.append(result)
            typer.echo(f"\n{result.study}{' (kept)' if kept else ''}: {result.headline}")
            for check in result.checks:
                typer.echo(f"  {check.verdict:<15} {check.what}: {check.here}")
    typer.echo(
        f"\n{headline(opened.identity.name, results)}\nresults: {folder}; the page: affekt report {folder}"
    )
