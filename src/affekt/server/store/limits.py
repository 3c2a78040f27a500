"""What a key may do."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Limits"]


class Limits(BaseModel):
    """Limits of one key; None is none beyond the server's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Requests in any 60 seconds."""
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Tokens of replies in any 60 seconds."""
    max_dial: Annotated[float, Field(ge=0)] | None = None
    """Largest dial of an `emotion_bias`; 0 forbids it."""
