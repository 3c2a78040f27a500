"""`affekt score-corpus`: every document of a corpus read once, by one worker or many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.cli.options import Dtype, EngineOptions, ModelName, Vectors, options_of
from affekt.cli.session import vectors_for
from affekt.progress import progress_bar

if TYPE_CHECKING:
    from affekt.progress import Progress

__all__ = ["score_corpus"]


def score_corpus(
    model: ModelName,
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="Parquet or JSON Lines: a file, a folder, a pattern with *, or a URL of fsspec.",
        ),
    ],
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="Folder or URL of the results; new, or of this same run.")
    ],
    text_column: Annotated[str, typer.Option(help="Column of the texts, or of chats (messages).")] = "text",
    id_column: Annotated[
        str | None, typer.Option(help="Column of the ids, each once; by default file and row.")
    ] = None,
    concepts: Annotated[
        str | None, typer.Option(help="Concepts to read, with commas between; by default all.")
    ] = None,
    layer: Annotated[
        int | None, typer.Option(help="Layer to read; by default the one chosen at extraction.")
    ] = None,
    per_token: Annotated[
        bool, typer.Option("--per-token", help="Also write every token's readings (large).")
    ] = False,
    max_tokens: Annotated[
        int | None, typer.Option(min=2, help="Tokens read of a document; by default the model's context.")
    ] = None,
    passages: Annotated[int, typer.Option(min=1, help="Strongest passages kept for each concept.")] = 10,
    workers: Annotated[
        int, typer.Option(min=1, help="1 reads in this process; more are Ray actors with an engine each.")
    ] = 1,
    ray: Annotated[
        str | None, typer.Option(help="Address of a running Ray cluster, such as auto; OUT must be shared.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Engine that each worker opens.")] = "transformers",
    engine_option: EngineOptions = None,
    part: Annotated[
        int, typer.Option(min=1, help="Documents of a part: what is written, and what a stop loses, as one.")
    ] = 256,
    skip_corrupt: Annotated[
        bool,
        typer.Option(
            "--skip-corrupt",
            "--skip-bad",
            help="Leave out, and name, damaged files, bad records, empty texts and second uses of an id.",
        ),
    ] = False,
    vectors: Vectors = None,
    sibling: Annotated[
        bool, typer.Option("--sibling", help="Take vectors of the base for its tuned sibling.")
    ] = False,
    dtype: Dtype = "auto",
) -> None:
    """Read a whole corpus: documents' and tokens' readings as Parquet, percentiles, the strongest passages.

    Each document is read exactly once, however often the run is stopped or a worker dies; the same command
    goes on from there. The result is the same for any number of workers.
    """
    from rich.console import Console

    from affekt.models.variant import split_variant
    from affekt.scoring import Columns, Settings
    from affekt.scoring import score_corpus as run
    from affekt.scoring.terminal import render

    names = tuple(name.strip() for name in concepts.split(",") if name.strip()) if concepts else None
    settings = Settings(
        model=model,
        engine=engine,
        dtype=dtype,
        sibling=sibling,
        columns=Columns(text_column, id_column),
        concepts=names,
        layer=layer,
        per_token=per_token,
        max_tokens=max_tokens,
        skip=skip_corrupt,
        part=part,
        kept=passages,
        options=options_of(engine_option),
    )
    held = vectors_for(split_variant(model)[0], vectors)
    with progress_bar("documents") as progress, _goes_on(progress) as told:
        scores = run(source, out, settings, held, workers=workers, cluster=ray, progress=told)
    for fault in scores.faults:
        typer.secho(f"left out: {fault}", fg=typer.colors.YELLOW, err=True)
    Console().print(render(scores, names))
    typer.echo(f"written to {out}; look at {out.rstrip('/')}/index.html")


@contextmanager
def _goes_on(progress: Progress) -> Iterator[Progress]:
    """Hands progress on, and says on Ctrl-C how to go on."""
    reached: list[tuple[int, int]] = []

    def told(stage: str, done: int, total: int) -> None:
        if total:
            reached[:] = [(done, total)]
            progress(stage, done, total)

    try:
        yield told
    except KeyboardInterrupt:
        far = (
            f"{reached[0][0]:,} of {reached[0][1]:,} documents are written"
            if reached
            else "nothing is read yet"
        )
        typer.echo(f"stopped: {far}; the same command goes on", err=True)
        raise
