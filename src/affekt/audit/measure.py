"""What one model's residual stream is at the places that are compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.audit.prompts import ANSWER, Form, chat, plain
from affekt.concepts import Source
from affekt.engines import Engine, Reply, Request, Sampling
from affekt.errors import VectorsError
from affekt.models.model import Identity
from affekt.models.prompt import Encoded
from affekt.progress import Progress
from affekt.reading import Reading
from affekt.vectors import tensorfile
from affekt.vectors.collect import prompt_end

__all__ = [
    "VIEWS",
    "Asked",
    "Keep",
    "Seen",
    "Subject",
    "Writing",
    "ends",
    "replies",
    "reply_tokens",
    "reread",
]

FORMAT = 1
"""Of what is kept; a file of another format is measured anew."""

VIEWS: Mapping[str, str] = {
    "plain end": "the prompt's end, Human/Assistant form",
    "chat end": "the prompt's end, chat template",
    "reply": "the model's own reply, mean over its tokens",
}
"""The places that are compared, and what each is."""


@dataclass(frozen=True)
class Writing:
    """How replies are written."""

    tokens: int = 32
    """The longest reply."""
    temperature: float = 0.7
    """0 is greedy."""
    seed: int = 0
    """Each message draws with a seed of its own, made of this one and its place."""


@dataclass(frozen=True)
class Subject:
    """A model under audit, opened."""

    engine: Engine
    """What runs it."""
    identity: Identity
    """Its name, hash, dtype and shape."""
    has_template: bool
    """Whether it has a chat template."""
    template: str = ""
    """The template itself, to tell whether two models share it."""
    foundation: str = ""
    """Hash of the weights that it stands on: an adapter's base's, or its own before they were rounded."""
    trained_on: str | None = None
    """The name of an adapter's base; None for a model that is no adapter."""


@dataclass(frozen=True)
class Asked:
    """What is asked of a model: messages in a form, read at some layers."""

    texts: tuple[str, ...]
    """The messages."""
    form: Form
    """Human/Assistant, or the chat template."""
    layers: tuple[int, ...]
    """Layers that are kept."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Residuals of one model at one view."""

    residuals: Float[Tensor, "prompts layers d_model"]
    """At the prompt's end, or the mean over a reply; NaN where a reply is empty."""
    replies: tuple[str, ...] = ()
    """What was written, where the view is the reply."""


@dataclass(frozen=True)
class Keep:
    """A folder where what was measured stays, by a hash of all that it depends on; None keeps nothing."""

    folder: Path | None = None

    def __call__(self, subject: Subject, facts: Mapping[str, object], measure: Callable[[], Seen]) -> Seen:
        """What `measure` gives, taken from the folder where it was measured before."""
        if self.folder is None:
            return measure()
        model = subject.identity
        about = {"format": FORMAT, "weights": model.weights_sha256, "dtype": model.dtype, **facts}
        about |= {"template": hashlib.sha256(subject.template.encode()).hexdigest()}
        key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        file = self.folder / f"{key[:32]}.safetensors"
        with suppress(VectorsError, OSError, KeyError):
            tensors, kept = tensorfile.read(file)
            return Seen(tensors["residuals"], tuple(kept["replies"]))
        seen = measure()
        tensorfile.write(file, {"residuals": seen.residuals}, {"replies": list(seen.replies)})
        return seen


def ends(subject: Subject, asked: Asked, keep: Keep, progress: Progress | None = None) -> Seen:
    """Residuals at the last token of the generation prompt.

    Raises:
        PromptError: for a message that the model cannot take.
    """
    stage = f"{subject.identity.name}: prompt ends, {asked.form}"
    sources = [_source(text, asked.form) for text in asked.texts]
    return keep(
        subject,
        {"view": "end", **asdict(asked)},
        lambda: Seen(_collect(subject.engine, sources, asked.layers, prompt_end, stage, progress)),
    )


def replies(
    subject: Subject, asked: Asked, writing: Writing, keep: Keep, progress: Progress | None = None
) -> Seen:
    """Replies of the model's own and the mean residual over each.

    Raises:
        PromptError: for a message that the model cannot take.
    """
    return keep(
        subject,
        {"view": "reply", **asdict(asked), **asdict(writing)},
        lambda: _write(subject, asked, writing, progress),
    )


def reread(
    subject: Subject, asked: Asked, written: Sequence[str], keep: Keep, progress: Progress | None = None
) -> Seen:
    """The mean residual over given replies to the same messages, whoever wrote them."""
    stage = f"{subject.identity.name}: given replies"
    sources = [_whole(text, reply, asked.form) for text, reply in zip(asked.texts, written, strict=True)]
    return keep(
        subject,
        {"view": "given", **asdict(asked), "written": list(written)},
        lambda: Seen(
            _collect(subject.engine, sources, asked.layers, reply_tokens, stage, progress), tuple(written)
        ),
    )


def _write(subject: Subject, asked: Asked, writing: Writing, progress: Progress | None) -> Seen:
    stage = f"{subject.identity.name}: replies"
    requests = [
        Request(
            _source(text, asked.form),
            Sampling(
                max_tokens=writing.tokens,
                temperature=writing.temperature,
                seed=writing.seed * 100_003 + place,
                stop=("\nHuman:",) if asked.form == "plain" else (),
            ),
            id=str(place),
        )
        for place, text in enumerate(asked.texts)
    ]
    finished: dict[int, Reply] = {}
    if progress is not None:
        progress(stage, 0, len(requests))
    for piece in subject.engine.generate(requests):
        if isinstance(piece, Reply):
            finished[int(piece.request)] = piece
            if progress is not None:
                progress(stage, len(finished), len(requests))
    ordered = [finished[place] for place in range(len(requests))]
    starts = {reply.whole.ids: reply.prompt_tokens for reply in ordered}

    def pick(encoded: Encoded) -> Sequence[int]:
        return range(starts[encoded.ids], len(encoded))

    residuals = _collect(
        subject.engine, [reply.whole for reply in ordered], asked.layers, pick, f"{stage}, read", progress
    )
    return Seen(residuals, tuple(reply.text for reply in ordered))


def reply_tokens(whole: Encoded | Reading) -> Sequence[int]:
    """The assistant's words in a chat; in plain text, what follows `Assistant:`."""
    if "text" not in whole.roles:
        return [i for i, role in enumerate(whole.roles) if role == "assistant"]
    start = whole.text.rfind(ANSWER) + len(ANSWER)
    return [i for i, (begin, end) in enumerate(whole.spans) if begin >= start and end > begin]


def _collect(
    engine: Engine,
    sources: Sequence[Source | Encoded],
    layers: tuple[int, ...],
    pick: Callable[[Encoded], Sequence[int]],
    stage: str,
    progress: Progress | None,
) -> Float[Tensor, "prompts layers d_model"]:
    out: Tensor | None = None
    if progress is not None:
        progress(stage, 0, len(sources))
    for done, one in enumerate(engine.collect(sources, layers, pick), 1):
        if out is None:
            out = torch.full((len(sources), *one.values.shape[::2]), torch.nan)
        if one.values.shape[1]:
            out[one.index] = one.values[:, 0]
        if progress is not None:
            progress(stage, done, len(sources))
    assert out is not None
    return out


def _source(text: str, form: Form) -> Source:
    return plain(text) if form == "plain" else chat(text)


def _whole(text: str, reply: str, form: Form) -> Source:
    if form == "plain" or not reply.strip():
        # Behind an empty reply there is no token to read, in either form.
        return f"{plain(text)} {reply.strip()}".rstrip()
    return [*chat(text), {"role": "assistant", "content": reply}]
