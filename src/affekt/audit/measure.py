"""What one model's residual stream is at the places that are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.audit.keep import Keep, Seen
from affekt.audit.prompts import ANSWER, Form, chat, plain
from affekt.audit.subject import Subject
from affekt.concepts import Source
from affekt.engines import Engine, Reply, Request, Sampling
from affekt.models.prompt import Encoded
from affekt.progress import Progress
from affekt.reading import Reading
from affekt.vectors.collect import prompt_end

__all__ = [
    "VIEWS",
    "Asked",
    "Writing",
    "ends",
    "ends_and_replies",
    "replies",
    "reply_tokens",
    "reread",
]

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
class Asked:
    """What is asked of a model: messages in a form, read at some layers."""

    texts: tuple[str, ...]
    """The messages."""
    form: Form
    """Human/Assistant, or the chat template."""
    layers: tuple[int, ...]
    """Layers that are kept."""


def ends(subject: Subject, asked: Asked, keep: Keep, progress: Progress | None = None) -> Seen:
    """Residuals at the last token of the generation prompt.

    Raises:
        PromptError: for a message that the model cannot take.
    """
    return keep(subject, _about_ends(asked), lambda: _ends(subject, asked, progress))


def replies(
    subject: Subject, asked: Asked, writing: Writing, keep: Keep, progress: Progress | None = None
) -> Seen:
    """Replies of the model's own and the mean residual over each.

    Raises:
        PromptError: for a message that the model cannot take.
    """
    return keep(subject, _about_replies(asked, writing), lambda: _write(subject, asked, writing, progress)[1])


def ends_and_replies(
    subject: Subject, asked: Asked, writing: Writing, keep: Keep, progress: Progress | None = None
) -> tuple[Seen, Seen]:
    """What `ends` and `replies` give, of one pass over prompts and replies where neither is kept.

    Raises:
        PromptError: for a message that the model cannot take.
    """
    written: list[Seen] = []

    def write() -> Seen:
        end, reply = _write(subject, asked, writing, progress)
        written.append(end)
        return reply

    reply = keep(subject, _about_replies(asked, writing), write)
    end = keep(
        subject, _about_ends(asked), lambda: written[0] if written else _ends(subject, asked, progress)
    )
    return end, reply


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


def _write(subject: Subject, asked: Asked, writing: Writing, progress: Progress | None) -> tuple[Seen, Seen]:
    """The prompts' ends and the replies, of one pass over each: what is read is taken as it is written."""
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
            residuals=asked.layers,
        )
        for place, text in enumerate(asked.texts)
    ]
    # Prompts of like length side by side: little is padded.
    requests.sort(key=lambda request: -len(asked.texts[int(str(request.id))]))
    count, shape = len(requests), (len(requests), len(asked.layers), subject.identity.d_model)
    ends, means = torch.full(shape, torch.nan), torch.full(shape, torch.nan)
    texts: dict[int, str] = {}
    if progress is not None:
        progress(stage, 0, count)
    for piece in subject.engine.generate(requests):
        if isinstance(piece, Reply):
            place = int(piece.request)
            texts[place] = piece.text
            assert piece.residuals is not None
            ends[place] = piece.residuals[:, 0]
            # Of a reply without a word there is only its end-of-text token, and that is not its words.
            if piece.text.strip():
                means[place] = piece.residuals[:, 1:].mean(dim=1)
            if progress is not None:
                progress(stage, len(texts), count)
    return Seen(ends), Seen(means, tuple(texts[place] for place in range(count)))


def reply_tokens(whole: Encoded | Reading) -> Sequence[int]:
    """The assistant's words in a chat; in plain text, what follows `Assistant:`."""
    if "text" not in whole.roles:
        return [i for i, role in enumerate(whole.roles) if role == "assistant"]
    start = whole.text.rfind(ANSWER) + len(ANSWER)
    return [i for i, (begin, end) in enumerate(whole.spans) if begin >= start and end > begin]


def _about_ends(asked: Asked) -> dict[str, object]:
    return {"view": "end", **asdict(asked)}


def _about_replies(asked: Asked, writing: Writing) -> dict[str, object]:
    return {"view": "reply", **asdict(asked), **asdict(writing)}


def _ends(subject: Subject, asked: Asked, progress: Progress | None) -> Seen:
    stage = f"{subject.identity.name}: prompt ends, {asked.form}"
    sources = [_source(text, asked.form) for text in asked.texts]
    return Seen(_collect(subject.engine, sources, asked.layers, prompt_end, stage, progress))


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
