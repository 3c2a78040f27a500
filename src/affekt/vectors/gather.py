"""One pass over texts through the model into moments; stopped at any time, it goes on from where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.concepts import Corpus, Source
from affekt.concepts.text import plain
from affekt.errors import VectorsError
from affekt.progress import Progress
from affekt.vectors.cells import Layout
from affekt.vectors.checkpoint import Checkpoint
from affekt.vectors.collect import Collect, Pick
from affekt.vectors.moments import CellMeans

__all__ = ["ALL", "Share", "gather_corpus", "gather_tokens", "state_of"]

Take: TypeAlias = Callable[[int, Float[Tensor, "layers rows d_model"]], None]
"""Receives a source's index and the residuals of its picked tokens."""


Share: TypeAlias = tuple[int, int]
"""`(i, n)`: of n workers the i-th, from 0, which runs every n-th source from the i-th on."""

ALL: Share = (0, 1)
"""One worker."""


def gather_corpus(
    collect: Collect,
    corpus: Corpus,
    layout: Layout,
    layers: Sequence[int],
    d_model: int,
    pick: Pick,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    share: Share = ALL,
) -> tuple[CellMeans, int]:
    """Pool every text of a corpus over the tokens that `pick` chooses and sum the results by cell.

    Returns:
        The cell means, and the number of texts too short to have a token picked.
    """
    place = {concept.name: at for at, concept in enumerate(corpus.concepts)}
    cells = CellMeans.empty(len(place), len(layout.forms), len(layers), d_model)
    short = torch.zeros(1, dtype=torch.long)

    def take(index: int, values: Float[Tensor, "layers rows d_model"]) -> None:
        text = corpus.texts[index]
        if values.shape[1]:
            cells.add(place[text.concept], layout.of[text.form, text.topic], values[:, 0].float())
        else:
            short.add_(1)

    if checkpoint is not None:
        checkpoint = state_of(checkpoint, corpus, layout)
    bodies = [text.body for text in corpus]
    state = {**cells.state(), "short": short}
    _run(collect, bodies, layers, pick, True, take, corpus.name, state, progress, checkpoint, share)
    return cells, int(short)


def state_of(checkpoint: Checkpoint, corpus: Corpus, layout: Layout) -> Checkpoint:
    """Where `gather_corpus` keeps its sums of a corpus; the stage is the corpus's name."""
    cells = checkpoint.about([sorted((*key, cell) for key, cell in layout.of.items())])
    return cells.about(text.record() for text in corpus)


def gather_tokens(
    collect: Collect,
    sources: Sequence[Source],
    layers: Sequence[int],
    pick: Pick,
    add: Callable[[Float[Tensor, "layers tokens d_model"]], None],
    stage: str,
    state: dict[str, Tensor],
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    share: Share = ALL,
) -> None:
    """Give the residuals of single tokens, those that `pick` chooses, to `add`, a source at a time.

    Args:
        collect: runs the sources.
        sources: the texts.
        layers: the layers.
        pick: chooses the tokens.
        add: counts them in; called only where there are some.
        stage: name for the progress and the checkpoint.
        state: the tensors that `add` changes in place.
        progress: called as the work goes on.
        checkpoint: keeps `state`.
        share: which of the sources are run.
    """

    def take(_index: int, values: Float[Tensor, "layers rows d_model"]) -> None:
        if values.shape[1]:
            add(values.float())

    if checkpoint is not None:
        checkpoint = checkpoint.about(sources)
    _run(collect, sources, layers, pick, False, take, stage, state, progress, checkpoint, share)


def _run(
    collect: Collect,
    sources: Sequence[Source],
    layers: Sequence[int],
    pick: Pick,
    mean: bool,
    take: Take,
    stage: str,
    state: dict[str, Tensor],
    progress: Progress | None,
    checkpoint: Checkpoint | None,
    share: Share,
) -> None:
    """Feed what is not yet done to `take`; `state` are the tensors that `take` changes in place."""
    done: set[int] = set()
    if checkpoint is not None:
        saved, done = checkpoint.load(stage, state)
        for name, value in saved.items():
            state[name].copy_(value)
    own = range(share[0], len(sources), share[1])
    sizes = [len(plain(source)) for source in sources]
    total, passed = sum(sizes[at] for at in own), sum(sizes[at] for at in own if at in done)
    left = [at for at in own if at not in done]
    if progress is not None:
        progress(stage, passed, total)
    if not left:
        return
    stream = collect([sources[at] for at in left], layers, pick, mean)
    # False while a text may be in some of the sums and not in others: such a state is not worth keeping.
    sound = True
    try:
        for one in stream:
            index = left[one.index]
            if not bool(one.values.isfinite().all()):
                raise VectorsError(_overflow(stage, sources[index]))
            sound = False
            take(index, one.values)
            done.add(index)
            sound = True
            passed += sizes[index]
            if progress is not None:
                progress(stage, passed, total)
            if checkpoint is not None:
                checkpoint.save(stage, state, done)
    finally:
        # At once, and not when the traceback is let go of: a stream may hold hooks on the network.
        if close := getattr(stream, "close", None):
            close()
        if checkpoint is not None and sound:
            checkpoint.save(stage, state, done, now=True)
    if missing := sum(at not in done for at in own):
        raise VectorsError(f"{stage}: the engine gave {len(own) - missing} of {len(own)} texts back")


def _overflow(stage: str, source: Source) -> str:
    return (
        f"{stage}: the model gives NaN or infinity for the text {plain(source)[:40]!r}…; open it in bfloat16 "
        "or float32"
    )
