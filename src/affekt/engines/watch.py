"""What a guard sees of a reply being written, and what it may order: the seam to the guard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from affekt.engines.token import Token
from affekt.errors import PolicyError
from affekt.models.prompt import Encoded, Role
from affekt.steering.bias import Bias

__all__ = ["Directive", "Watch", "WatchRow", "Watcher"]


@dataclass(frozen=True)
class Directive:
    """What shall happen to a reply now."""

    kind: Literal["stop", "replace", "rebias", "rewind", "flag"]
    """`stop`: end here. `replace`: the reply becomes `text`. `rebias`: go on under `bias`. `rewind`: drop
    tokens and go on from the one before them, whose forward runs again. `flag`: mark the reply."""
    bias: Bias | Mapping[str, Any] | None = None
    """The row's whole bias from its next forward on; `{}` is none at all, None (for `rewind`) keeps it."""
    text: str = ""
    """What a replaced reply says."""
    tokens: int = 1
    """How many of the latest tokens `stop` and `rewind` drop, the one just read included; none of them is
    shown. At the prompt's end there is none yet: a rewind there only runs the prompt's last token again."""
    flag: bool = False
    """Mark the reply as well, whatever the kind."""

    def __post_init__(self) -> None:
        if self.kind == "rebias" and self.bias is None:
            raise PolicyError("a directive 'rebias' needs a bias; give {} for none at all")
        if self.tokens < 1:
            raise PolicyError(f"a directive drops at least 1 token, not {self.tokens}")


@dataclass(frozen=True)
class WatchRow:
    """A reply at one moment: at the prompt's end, or at its latest token before that is shown."""

    request: str
    """The request's id."""
    choice: int
    """Which of the request's `n` replies, from 0."""
    prompt: Encoded
    """The prompt, generation prompt included."""
    concepts: tuple[str, ...]
    """Names of the columns of `z`: every concept of the engine's vectors."""
    z: Float[np.ndarray, " concepts"]
    """The reading of the residual at the prompt's last token, or at the latest token."""
    role: Role
    """Whose words the token read is: `special` for one that is no text, such as the end of the reply."""
    tokens: tuple[int, ...]
    """The reply so far, the latest token included; empty at the prompt's end."""
    bias: Bias
    """What steers the row at present."""


@runtime_checkable
class Watch(Protocol):
    """The guard of one reply. It is called in order; after a rewind the dropped tokens never come again."""

    def prompt_end(self, row: WatchRow) -> Directive | None:
        """Called once, after the prompt's forward and before the first token is chosen."""

    def token(self, row: WatchRow, token: Token) -> Directive | None:
        """Called for each token, the last one and an end-of-sequence token too, before it is shown."""

    @property
    def events(self) -> Sequence[Any]:
        """What has happened; the reply carries it."""


@runtime_checkable
class Watcher(Protocol):
    """A policy: it makes a `Watch` for each reply."""

    @property
    def hold(self) -> int:
        """By how many more tokens the stream is held back, so that the ones before a trip stay unseen."""

    @property
    def rewind(self) -> int:
        """The most tokens that a directive may drop at once; the stream is held back far enough for it."""

    def watch(self, request: str, choice: int, concepts: tuple[str, ...]) -> Watch:
        """The guard of one reply, which reads the columns `concepts`."""
