"""The emotions' words in the model's own input embeddings: what the words give before the model has run."""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.studies.lab import Lab
from affekt.vectors.directions import unit

__all__ = ["embedded"]


def embedded(lab: Lab) -> Float[Tensor, "emotions d_model"]:
    """Unit vectors: the mean input embedding of each word's tokens, less the mean over words."""
    matrix = cast(Tensor, lab.model.network.get_input_embeddings().weight).detach().float().cpu()
    rows = [
        matrix[torch.tensor(lab.model.tokenizer(f" {name}", add_special_tokens=False)["input_ids"])].mean(0)
        for name in lab.names
    ]
    stacked = torch.stack(rows)
    return unit(stacked - stacked.mean(0))
