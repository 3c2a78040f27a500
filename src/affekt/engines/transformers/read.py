"""Reading whole texts: batches of like length, one product per forward, only scalars leave the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.engines.transformers.core import Core
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
    core: Core,
    texts: Sequence[Encoded],
    programs: Sequence[Program | None],
    probe: Probe,
    columns: Sequence[int],
) -> list[Reading]:
    """The read verb on encoded texts; see `Engine.read`.

    Args:
        core: the engine's inside.
        texts: what to read.
        programs: what steers each of them, if anything.
        probe: the read-out.
        columns: which of its concepts are wanted.
    """
    model = core.model
    readings: dict[int, Reading] = {}
    for batch in batches([len(text) for text in texts], core.budget):
        with core.turn():
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
    own = places([len(text) for text in texts], "right", ids.shape[1])
    edits = batch_edits(programs, own)
    taken: list[Tensor] = []

    def take(_layer: int, residual: Float[Tensor, "batch tokens d_model"]) -> None:
        taken.append(probe.scalars(residual))

    with edit(model, edits), capture(model, [probe.layer], take):
        run_to(model, ids, torch.ones_like(ids), probe.layer)
    return taken[0].cpu()
