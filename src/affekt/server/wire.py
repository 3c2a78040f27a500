"""The bodies of requests: those of the OpenAI API, and Affekt's own fields in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from affekt.concepts.source import Message

__all__ = ["ChatBody", "CompletionBody", "GenerationBody", "Part", "StreamOptions", "Turn"]

NAME = r"^[^\x00-\x1f\x7f]*$"
"""A role or a name: no control characters."""


class Part(BaseModel):
    """A part of a message's content; text is what a language model can read."""

    type: Literal["text"]
    text: str


class Turn(BaseModel):
    """A message. `developer` is the newer word for `system`."""

    model_config = ConfigDict(extra="allow")

    role: Annotated[str, Field(min_length=1, max_length=64, pattern=NAME)]
    content: str | list[Part] | None = None
    name: Annotated[str, Field(max_length=64, pattern=NAME)] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None

    def message(self) -> Message:
        """As chat templates take it."""
        content = self.content
        text = "".join(part.text for part in content) if isinstance(content, list) else content or ""
        message: dict[str, Any] = {"role": "system" if self.role == "developer" else self.role}
        message["content"] = text
        for key in ("name", "tool_calls", "tool_call_id"):
            if getattr(self, key) is not None:
                message[key] = getattr(self, key)
        return message


class StreamOptions(BaseModel):
    """What a stream says beside the reply."""

    include_usage: bool = False
    """Whether a last chunk counts the tokens."""


class GenerationBody(BaseModel):
    """What chats and completions have in common. Fields of the API that change nothing here are taken and
    ignored; those that would change the reply and are not offered are refused."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[str, Field(max_length=512)] = ""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1)] = 1
    stop: str | list[str] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[str, float] | None = None
    emotion_bias: dict[str, Any] | None = None
    """Concept to dial, -1 to 1; or the full form where the operator allows it."""
    emotions: list[Annotated[str, Field(max_length=256)]] | Literal["all"] | None = None
    """What is read of each token: concepts, `top-5`, `valence`, `arousal`; or all concepts."""
    policy: dict[str, Any] | None = None
    """Monitors and stricter thresholds beside the server's own."""

    @field_validator("presence_penalty", "frequency_penalty")
    @classmethod
    def _none(cls, value: float | None) -> float | None:
        if value:
            raise ValueError("penalties are not offered; leave this out or give 0")
        return value

    @field_validator("logit_bias")
    @classmethod
    def _empty(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        if value:
            raise ValueError("logit_bias is not offered; emotion_bias steers by concept")
        return value

    @field_validator("stop")
    @classmethod
    def _few(cls, value: str | list[str] | None) -> str | list[str] | None:
        if isinstance(value, list) and len(value) > 4:
            raise ValueError("at most 4 stop strings")
        return value

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def usage_wanted(self) -> bool:
        """Whether a stream ends with a count of the tokens."""
        return self.stream_options is not None and self.stream_options.include_usage


class ChatBody(GenerationBody):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[Turn], Field(min_length=1, max_length=10_000)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    response_format: dict[str, Any] | None = None

    @field_validator("response_format")
    @classmethod
    def _text(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value and value.get("type") != "text":
            raise ValueError("only response_format {'type': 'text'} is offered")
        return value


class CompletionBody(GenerationBody):
    """`POST /v1/completions`."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=64)]
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    echo: bool = False

    @property
    def prompts(self) -> list[str]:
        """The texts to go on with."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt
