"""One token of a reply as an engine gives it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["Token", "TopToken"]


@dataclass(frozen=True, slots=True)
class TopToken:
    """One of the likeliest tokens at a place."""

    id: int
    """The token."""
    text: str
    """As it reads by itself."""
    logprob: float
    """Natural logarithm of its probability at temperature 1."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a reply, shown in order. The texts of a reply's tokens join to the reply's text."""

    request: str
    """The request's id."""
    index: int
    """Its place in the reply, from 0."""
    choice: int
    """Which of the request's replies."""
    id: int
    """The token's id."""
    text: str
    """What it adds to the text; empty for special tokens, parts of a character and stop strings."""
    reading: Float[np.ndarray, " concepts"] | None = None
    """z at this token of the concepts that `Request.read` names; None where nothing is read."""
    logprob: float | None = None
    """Its log-probability at temperature 1, where asked for."""
    top_logprobs: tuple[TopToken, ...] = ()
    """The likeliest tokens at its place, best first."""
