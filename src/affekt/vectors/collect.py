"""What extraction asks of whatever runs the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from affekt.concepts import Source
from affekt.models.prompt import Encoded

__all__ = ["Collect", "Collected", "Pick", "content", "from_token", "prompt_end", "role_tokens"]

Pick: TypeAlias = Callable[[Encoded], Sequence[int]]
"""Chooses tokens of an encoded source by their indices."""


@runtime_checkable
class Collected(Protocol):
    """Residuals of one source's picked tokens."""

    @property
    def index(self) -> int:
        """Place of the source in the sequence that was asked for."""

    @property
    def values(self) -> Float[Tensor, "layers rows d_model"]:
        """One row, the mean of the picked tokens, or a row for each; no row where none was picked."""


@runtime_checkable
class Collect(Protocol):
    """Runs sources through the model as far as the deepest layer; results come in any order."""

    def __call__(
        self, sources: Sequence[Source], layers: Sequence[int], pick: Pick, mean: bool = True
    ) -> Iterator[Collected]:
        """Residuals after each of `layers` at the tokens that `pick` chooses; a chat that ends with a user's
        turn is given its generation prompt. Values are float32 on the CPU."""


def from_token(first: int) -> Pick:
    """Tokens from the `first`-th on, counted from 0 and without special tokens (paper section 2.3: 50)."""

    def pick(encoded: Encoded) -> Sequence[int]:
        plain = [i for i, role in enumerate(encoded.roles) if role != "special"]
        return plain[first:]

    return pick


def role_tokens(*roles: str) -> Pick:
    """All tokens of some roles, such as `assistant`."""

    def pick(encoded: Encoded) -> Sequence[int]:
        return [i for i, role in enumerate(encoded.roles) if role in roles]

    return pick


def content(first: int) -> Pick:
    """What a labelled text is pooled over: a plain text from its `first`-th token on, all replies of a chat,
    or where there is none the user's words."""

    def pick(encoded: Encoded) -> Sequence[int]:
        if "text" in encoded.roles:
            return from_token(first)(encoded)
        return role_tokens("assistant")(encoded) or role_tokens("user")(encoded)

    return pick


def prompt_end(encoded: Encoded) -> Sequence[int]:
    """The last token of the generation prompt."""
    return [len(encoded) - 1]
