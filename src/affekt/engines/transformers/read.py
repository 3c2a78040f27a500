"""Reading whole texts: batches of like length, one product per forward, only scalars leave the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.engines.transformers.pad import batches, places, right
from affekt.engines.transformers.probe import Probe
from affekt.engines.transformers.ready import names_of
from affekt.models.model import Model
from affekt.models.prompt import Encoded
from affekt.models.residual import capture, edit, run_to
from affekt.reading.reading import Reading
from affekt.steering.edit import batch_edits
from affekt.steering.program import Program

__all__ = ["read"]


def read(
    model: Model,
    texts: Sequence[Encoded],
    programs: Sequence[Program | None],
    probe: Probe,
    columns: Sequence[int],
    budget: int,
    turn: Callable[[], AbstractContextManager[object]],
) -> list[Reading]:
    """The read verb on encoded texts; see `Engine.read`.

    Args:
        model: the opened model.
        texts: what to read.
        programs: what steers each of them, if anything.
        probe: the read-out.
        columns: which of its concepts are wanted.
        budget: most tokens of a batch, padding included.
        turn: entered around each forward, since hooks are state of the network.
    """
    readings: dict[int, Reading] = {}
    for batch in batches([len(text) for text in texts], budget):
        with turn():
            scalars = _run(model, [texts[i] for i in batch], [programs[i] for i in batch], probe)
        values = scalars.numpy()
        for row, i in enumerate(batch):
            own = values[row, : len(texts[i])]
            tokens = names_of(model, texts[i])
            readings[i] = probe.reading(texts[i], tokens, own, columns, model.identity.name)
    return [readings[i] for i in range(len(texts))]


def _run(
    model: Model, texts: Sequence[Encoded], programs: Sequence[Program | None], probe: Probe
) -> Float[Tensor, "batch tokens scalars"]:
    ids = right([text.ids for text in texts], 0).to(model.device)
    edits = batch_edits(programs, places([len(text) for text in texts], "right"))
    taken: list[Tensor] = []

    def take(_layer: int, residual: Float[Tensor, "batch tokens d_model"]) -> None:
        taken.append(probe.scalars(residual))

    with torch.inference_mode(), edit(model, edits), capture(model, [probe.layer], take):
        run_to(model, ids, torch.ones_like(ids), probe.layer)
    return taken[0].cpu()
