"""The seam between what runs a model and everything above it: four verbs, and what goes in and comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor, device
from transformers import PreTrainedTokenizerBase

from affekt.concepts.source import Source
from affekt.engines.token import Token
from affekt.engines.watch import Watcher
from affekt.errors import PromptError
from affekt.models.model import Identity
from affekt.models.prompt import Encoded
from affekt.reading.reading import Reading
from affekt.steering.bias import Bias

__all__ = [
    "BiasLike",
    "Collected",
    "Engine",
    "FinishReason",
    "Opened",
    "Reply",
    "Request",
    "Sampling",
]

BiasLike: TypeAlias = Bias | Mapping[str, Any] | None
"""A parsed bias, an `emotion_bias` mapping, or none."""

FinishReason: TypeAlias = Literal["stop", "length", "cancelled", "guard"]
"""`stop`: an end-of-sequence token or a stop string; `length`: `max_tokens`, or the context is full."""

TOP_LOGPROBS = 50
"""Most alternatives a token may come with."""

REPLIES = 1024
"""Most replies to one request."""

LARGEST = 2**31 - 1
"""The largest number of tokens that is taken; no vocabulary and no context is so large."""

HOTTEST = 1e6
"""The highest temperature; from far below it on every token is as likely as any other."""


def _whole(name: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        raise PromptError(f"{name} is {_short(value)}; give a whole number from {least:,} to {most:,}")


def _short(value: Any) -> str:
    """A value for an error; Python refuses to write out a number of thousands of digits."""
    bits = int(value).bit_length() if isinstance(value, Integral) else 0
    return repr(value) if bits <= 128 else f"a number of {bits:,} bits"


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. A reply depends on its own seed only, not on its neighbours in a batch."""

    max_tokens: int = 128
    """The longest reply, its end-of-sequence token counted."""
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    """Least probability mass that is kept, the likeliest tokens first."""
    top_k: int = 0
    """How many of the likeliest tokens are kept; 0 keeps all."""
    seed: int | None = None
    """For repeatable draws; None is another reply each time."""
    stop: tuple[str, ...] = ()
    """Strings that end the reply; it shows none of them."""
    logprobs: int | None = None
    """None: no log-probabilities; 0: each token's own; n: also those of the n likeliest tokens."""
    min_tokens: int = 0
    """No end-of-sequence token comes before so many tokens."""

    def __post_init__(self) -> None:
        for name, least in (("max_tokens", 1), ("min_tokens", 0), ("top_k", 0)):
            _whole(name, getattr(self, name), least, LARGEST)
        if self.seed is not None:
            _whole("seed", self.seed, -(2**63), 2**63 - 1)
        if self.logprobs is not None:
            _whole("logprobs", self.logprobs, 0, TOP_LOGPROBS)
        if not 0 <= self.temperature <= HOTTEST:
            raise PromptError(f"temperature is {_short(self.temperature)}; give 0 to {HOTTEST:,.0f}")
        if not 0 < self.top_p <= 1:
            raise PromptError(f"top_p is {_short(self.top_p)}; give more than 0, at most 1")
        if any(not word for word in self.stop):
            raise PromptError("an empty stop string would end every reply at once")


@dataclass(frozen=True)
class Request:
    """One prompt and everything that is wanted of its replies."""

    source: Source | Encoded
    """A text to go on with, a chat to reply to, or either of them already encoded."""
    sampling: Sampling = Sampling()
    """How tokens are chosen."""
    bias: BiasLike = None
    """The `emotion_bias` of this request alone."""
    read: tuple[str, ...] | Literal["all"] | None = None
    """Concepts whose readings are wanted, token by token."""
    layer: int | None = None
    """Layer that is read, by `read` and by `guard`; None is the vectors' own."""
    guard: Watcher | None = None
    """What watches the replies and may end, replace or steer them."""
    id: str | None = None
    """Named in every token and reply; None is the request's place in the call."""
    n: int = 1
    """How many replies; they share the prompt's forward. Reply `c` draws with a seed of its own."""
    tools: Sequence[Mapping[str, Any]] | None = None
    """JSON schemas of functions, for chat templates that show them."""
    residuals: tuple[int, ...] = ()
    """Layers whose residuals are kept at the prompt's end and at every token of the replies."""

    def __post_init__(self) -> None:
        _whole("n", self.n, 1, REPLIES)


@dataclass(frozen=True)
class Reply:
    """One finished reply."""

    request: str
    """The request's id."""
    choice: int
    """Which of the request's replies, from 0."""
    text: str
    """The reply, without special tokens and stop strings."""
    tokens: tuple[int, ...]
    """Its token ids, an end-of-sequence token included; those shown, if a guard ended it."""
    finish_reason: FinishReason
    """Why it ends."""
    whole: Encoded
    """Prompt and reply as one, to be read, scored or explained again exactly as it was written."""
    prompt_tokens: int
    """How many of `whole` are the prompt's."""
    reading: Reading | None = None
    """Every token of prompt and reply, where `Request.read` names concepts."""
    logprobs: tuple[float, ...] = ()
    """Each token's log-probability, where asked for."""
    events: tuple[Any, ...] = ()
    """What the guard has noted."""
    flagged: bool = False
    """Whether the guard has marked it."""
    residuals: Float[Tensor, "layers tokens d_model"] | None = None
    """At the prompt's last token and at each of its own, where `Request.residuals` names layers; float32 on
    the CPU."""
    replaced: bool = False
    """Whether the text is the guard's and not the model's; tokens shown before are to be taken back."""


@dataclass(frozen=True)
class Collected:
    """Residuals of one source's picked tokens."""

    index: int
    """Place of the source in the sequence that was asked for."""
    values: Float[Tensor, "layers rows d_model"]
    """Float32 on the CPU: one row, the mean of the picked tokens, or a row for each; none where none was
    picked."""
    tokens: int
    """How many tokens were picked."""


@runtime_checkable
class Opened(Protocol):
    """What all engines know of the model they run; its network may be in another process."""

    @property
    def identity(self) -> Identity:
        """Name, hash, dtype and shape."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer."""

    @property
    def context(self) -> int:
        """The longest sequence it takes, in tokens."""

    @property
    def device(self) -> device:
        """Where vectors for it are made ready."""


@runtime_checkable
class Engine(Protocol):
    """Runs a model. Everything above is written once against these verbs and knows no engine."""

    def collect(
        self,
        sources: Sequence[Source | Encoded],
        layers: Sequence[int],
        pick: Callable[[Encoded], Sequence[int]],
        mean: bool = True,
    ) -> Iterator[Collected]:
        """Residuals after each of `layers` at the tokens that `pick` chooses, sources in any order; a chat
        that ends with a user's turn is given its generation prompt."""

    def read(
        self,
        sources: Sequence[Source | Encoded],
        concepts: Sequence[str] | None = None,
        layer: int | None = None,
        bias: BiasLike = None,
    ) -> list[Reading]:
        """Every token of every source, read out for `concepts` (default: all) at `layer` (default: the
        vectors')."""

    def generate(self, requests: Sequence[Request]) -> Iterator[Token | Reply]:
        """Tokens of all requests as they come, and a `Reply` at the end of each reply."""

    def score(
        self,
        prompts: Sequence[Source | Encoded],
        continuations: Sequence[str | Sequence[int]],
        bias: BiasLike | Sequence[BiasLike] = None,
    ) -> list[Float[np.ndarray, " tokens"]]:
        """Log-probability of each token of a continuation after its prompt; one bias for all, or for each."""

    def next_token(
        self,
        prompts: Sequence[Source | Encoded],
        bias: BiasLike | Sequence[BiasLike] = None,
        ids: Sequence[int] | None = None,
    ) -> Float[np.ndarray, "prompts tokens"]:
        """Log-probabilities of the token after each prompt: of the whole vocabulary, or of some ids."""
