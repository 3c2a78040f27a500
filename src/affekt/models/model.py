"""An opened causal language model: its network, tokenizer and decoder layers."""

from __future__ import annotations

import copy
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Identity", "Model"]


@dataclass(frozen=True)
class Identity:
    """What makes two opened models the same for a vectors file."""

    name: str
    """The name it was opened by."""
    weights_sha256: str
    """Hash of the weights as loaded."""
    dtype: str
    """The dtype it runs in, `bfloat16` or `float32`."""
    architecture: str
    """The class of the network, as transformers names it."""
    n_layers: int
    """Number of decoder blocks."""
    d_model: int
    """Width of the residual stream."""


@dataclass(frozen=True)
class Model:
    """An opened causal LM. Layer `l` means the residual stream after block `l`, from 0."""

    identity: Identity
    """Name, hash, dtype and shape."""
    network: PreTrainedModel
    """The transformers model, in eval mode."""
    tokenizer: PreTrainedTokenizerBase
    """Its tokenizer; a fast one, since character spans are needed."""
    layers: tuple[nn.Module, ...]
    """The decoder blocks in order."""
    context: int
    """The longest sequence it takes, in tokens."""
    turn: AbstractContextManager[Any] = field(default_factory=threading.RLock, compare=False, repr=False)
    """Held while hooks are on the network: they are its state, whichever engine put them there."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        """A copy whose network and turn are its own."""
        memo[id(self.turn)] = threading.RLock()
        return Model(**{part.name: copy.deepcopy(getattr(self, part.name), memo) for part in fields(self)})

    @property
    def size(self) -> int:
        """Bytes of the weights in memory."""
        return sum(each.numel() * each.element_size() for each in self.network.parameters())

    @property
    def device(self) -> torch.device:
        """Where the first block's weights live; inputs go there."""
        return next(self.layers[0].parameters()).device
