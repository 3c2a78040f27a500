"""A model, its vectors and an engine, opened for a command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from affekt.errors import AffektError, closest

if TYPE_CHECKING:
    from affekt.engines import TransformersEngine
    from affekt.engines.vllm import VLLMEngine
    from affekt.models import Model
    from affekt.models.model import Identity
    from affekt.vectors import ConceptVectors
    from affekt.vectors.gather import Progress

__all__ = ["ENGINES", "known_engine", "open_engine", "open_model", "open_session", "progress_bar", "running"]

ENGINES = ("transformers", "vllm")
"""What may run a model."""

TEXTS = 64
"""Most texts that vLLM runs at once."""


def open_model(name: str, dtype: str = "auto") -> Model:
    """Open a model, fetching and converting it first where that was not done yet."""
    from affekt.models import load

    return load(name, dtype=dtype)


def open_session(
    name: str, vectors: Path | None, dtype: str = "auto"
) -> tuple[Model, ConceptVectors, TransformersEngine]:
    """A model with its vectors.

    Raises:
        VectorsError: there are no vectors yet (the message has the command that makes them), or they belong
            to another model.
    """
    from affekt.engines import TransformersEngine

    model = open_model(name, dtype)
    held = _vectors(name, model.identity, vectors)
    return model, held, TransformersEngine(model, held)


def known_engine(name: str) -> None:
    """Refuses an engine that is none of `ENGINES`."""
    if name not in ENGINES:
        raise AffektError(f"unknown engine {name!r}{closest(name, ENGINES)} (there are {', '.join(ENGINES)})")


@contextmanager
def running(engine: str, name: str, dtype: str) -> Iterator[TransformersEngine | VLLMEngine]:
    """One of `ENGINES` on a model that has no vectors yet, for many texts; ended at the end."""
    known_engine(engine)
    if engine == "transformers":
        from affekt.engines import TransformersEngine

        yield TransformersEngine(open_model(name, dtype))
        return
    from affekt.engines.vllm import VLLMEngine

    runs = VLLMEngine(name, dtype=dtype, batch_size=TEXTS)
    try:
        yield runs
    finally:
        runs.close()


def open_engine(
    engine: str, name: str, vectors: Path | None, dtype: str, rows: int
) -> TransformersEngine | VLLMEngine:
    """One of `ENGINES` on a model with its vectors, for at most so many replies at once; raises as
    `open_session`."""
    if engine == "transformers":
        from affekt.engines import TransformersEngine

        model, held, _ = open_session(name, vectors, dtype)
        return TransformersEngine(model, held, batch_size=rows)
    from affekt.engines.vllm import VLLMEngine
    from affekt.engines.vllm.served import served

    found = served(name, dtype)
    return VLLMEngine(found, _vectors(name, found.identity, vectors), batch_size=rows)


def _vectors(name: str, identity: Identity, file: Path | None) -> ConceptVectors:
    from affekt.errors import VectorsError
    from affekt.vectors import load_vectors
    from affekt.vectors.shelf import shelf

    kept = file or shelf(identity.name)
    if file is None and not kept.exists():
        raise VectorsError(f"no vectors for {name} yet; make them once with: affekt extract {name}")
    held = load_vectors(kept)
    held.require(identity)
    return held


@contextmanager
def progress_bar(unit: str = "characters") -> Iterator[Progress]:
    """A bar with the time left on a terminal, a line a stage elsewhere; both on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        stages: set[str] = set()

        def line(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages.add(stage)
                rest = f", {done / total:.0%} done before" if done * 100 >= total > 0 else ""
                print(f"{stage}: {total:,} {unit}{rest}", file=sys.stderr)

        yield line
        return
    columns = (TextColumn("{task.description:<20}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        tasks = {}

        def bar(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done)

        yield bar
