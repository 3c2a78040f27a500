"""What `compare` and `gate` share: options, and the comparison itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.cli.session import open_model, vectors_for
from affekt.progress import progress_bar

if TYPE_CHECKING:
    from affekt.audit import Comparison
    from affekt.audit.gate import GatePolicy
    from affekt.audit.history import Line
    from affekt.audit.subject import Open
    from affekt.vectors import ConceptVectors

__all__ = ["Against", "Controls", "Fresh", "Prompts", "Replies", "Views", "audit", "line", "opener"]

Prompts = Annotated[
    Path | None,
    typer.Option(help="Your own prompts: JSON Lines with text, and optionally id, group, kind, paraphrase."),
]
Controls = Annotated[
    list[str] | None,
    typer.Option(help="A model changed in a way that ought not to matter; how far it moved joins the floor."),
]
Against = Annotated[
    str | None,
    typer.Option(
        help="base, or controls: hold the tuned model against the mean of the controls (two at least, better "
        "three), so that what any such training does is not counted."
    ),
]
Views = Annotated[
    list[str] | None, typer.Option(help="plain end, chat end or reply; by default all that both models have.")
]
Replies = Annotated[int, typer.Option(min=1, help="Tokens of each reply.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Measure anew what was kept before, and keep that.")]


ROWS = 256
"""Most replies written at once. They are short, and a step of many costs less a reply than one of few."""


def audit(
    base: str,
    tuned: Sequence[str],
    *,
    vectors: Path | None,
    prompts: Path | None,
    controls: Sequence[str],
    against: str,
    views: Sequence[str],
    reply_tokens: int,
    floor: bool,
    directions: bool,
    fresh: bool,
    dtype: str,
    policy: GatePolicy | None = None,
) -> Iterator[Comparison]:
    """A comparison for each tuned model, with a bar for each stage; measurements are kept in the cache.

    A policy is held against the concepts and prompts, and every model is found, before one is opened.
    """
    from affekt.audit import compare, load_prompts, shipped_prompts
    from affekt.audit.comparison import ALL
    from affekt.audit.gate import fits
    from affekt.audit.keep import Keep
    from affekt.audit.measure import Writing
    from affekt.audit.quantities import quantities
    from affekt.models.cache import cache_folder
    from affekt.models.variant import split_variant
    from affekt.models.weights import resolve

    asked = load_prompts(prompts) if prompts is not None else shipped_prompts()
    held = vectors_for(base, vectors)
    if policy is not None:
        groups = [*dict.fromkeys(prompt.group for prompt in asked), ALL]
        fits(policy, [quantity.name for quantity in quantities(held.concepts)], groups)
    for name in (*tuned, *controls):
        resolve(split_variant(name)[0])
    with progress_bar("prompts") as progress:
        yield from compare(
            opener(held, dtype),
            base,
            tuned,
            held,
            asked,
            controls=controls,
            against=against,
            views=views,
            writing=Writing(tokens=reply_tokens),
            floor=floor,
            directions=directions,
            keep=Keep(cache_folder() / "audit", fresh),
            progress=progress,
        )


def line(base: str, *, vectors: Path | None, prompts: Path | None, reply_tokens: int, dtype: str) -> Line:
    """What a history of an audit's checkpoints has in each entry; the base is found and not opened."""
    from affekt.audit import load_prompts, shipped_prompts
    from affekt.audit.history import line_of

    held = vectors_for(base, vectors)
    asked = load_prompts(prompts) if prompts is not None else shipped_prompts()
    return line_of(opener(held, dtype)(base).identity, held, asked, reply_tokens)


def opener(vectors: ConceptVectors, dtype: str) -> Open:
    """What finds the models of an audit, and opens each on an engine with the one set of vectors when it is
    asked something."""
    from affekt.audit.subject import Subject
    from affekt.engines import Engine, TransformersEngine
    from affekt.models import identify
    from affekt.models.adapter import base_of
    from affekt.models.cache import cache_folder
    from affekt.models.fingerprint import weights_sha256
    from affekt.models.machine import choose_device
    from affekt.models.variant import split_variant
    from affekt.models.weights import resolve

    def open(name: str) -> Subject:
        identity, tokenizer = identify(name, dtype)
        template = str(tokenizer.chat_template or "")
        files = resolve(split_variant(name)[0])

        def run() -> Engine:
            return TransformersEngine(open_model(name, dtype), vectors, sibling=True, batch_size=ROWS)

        return Subject(
            run,
            identity,
            has_template=bool(template),
            template=template,
            foundation=weights_sha256(files.folder, cache_folder()),
            trained_on=base_of(files.adapter) if files.adapter else None,
            device=str(choose_device()),
        )

    return open
