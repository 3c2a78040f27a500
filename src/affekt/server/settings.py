"""How a server is run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Settings"]


class Settings(BaseModel):
    """What an operator decides; every value has a safe default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queue: Annotated[int, Field(ge=1)] = 64
    """Most requests that are taken in at once, those being answered included; more get a 429."""
    rows: Annotated[int, Field(ge=1)] = 16
    """Most replies written at once."""
    max_body: Annotated[int, Field(ge=1)] = 1_000_000
    """Most bytes of a request's body."""
    body_seconds: Annotated[float, Field(gt=0)] = 30.0
    """Seconds in which a request's body must have come."""
    max_tokens: Annotated[int, Field(ge=1)] = 4096
    """Longest reply, in tokens, that a request may ask for."""
    default_tokens: Annotated[int, Field(ge=1)] = 512
    """Longest reply where a request does not say."""
    max_choices: Annotated[int, Field(ge=1)] = 16
    """Most replies to one request."""
    max_dial: Annotated[float, Field(ge=0)] = 1.0
    """Largest dial of an `emotion_bias`, either way; 0 forbids it. Raw doses need `raw_doses`."""
    raw_doses: bool = False
    """Whether requests may give doses beside the dial, and the other forms of a bias."""
    timeout: Annotated[float, Field(gt=0)] = 300.0
    """Seconds after which a reply is ended, and after which a client that takes nothing is let go."""
    drain: Annotated[float, Field(ge=0)] = 30.0
    """Seconds that running replies have to finish at a shutdown."""
    text: Literal["keep", "hash", "drop"] = "hash"
    """What the audit trail keeps of prompts and replies."""
    retention_days: Annotated[float, Field(gt=0)] | None = 30.0
    """Days that the audit trail keeps; None is forever."""
    on_store_failure: Literal["closed", "open"] = "closed"
    """Whether replies that cannot be recorded are refused (closed) or given (open)."""
    cors: tuple[str, ...] = ()
    """Origins of other sites that browsers may call from."""
