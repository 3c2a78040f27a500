"""A prompt and the reply that came: what is explained."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from affekt.concepts.source import Source
from affekt.engines.engine import Reply
from affekt.errors import PromptError
from affekt.models.prompt import Encoded, encode, require_text
from affekt.steering.schedule import reply_role

__all__ = ["Told", "tell", "told_by"]


@dataclass(frozen=True)
class Told:
    """Prompt and reply as one sequence of tokens."""

    whole: Encoded
    """All tokens, the prompt's first."""
    prompt_tokens: int
    """How many of them are the prompt's, generation prompt included."""

    def __post_init__(self) -> None:
        reply = len(self.whole) - self.prompt_tokens
        if self.prompt_tokens < 1 or reply < 1:
            raise PromptError(
                f"nothing to explain: a prompt of {self.prompt_tokens} tokens and a reply of {reply}; both "
                f"need at least 1"
            )

    @property
    def prompt(self) -> Encoded:
        """The prompt alone."""
        end, start = self.prompt_tokens, self._reply_start()
        spans = tuple((min(a, start), min(b, start)) for a, b in self.whole.spans[:end])
        return Encoded(self.whole.ids[:end], spans, self.whole.roles[:end], self.whole.text[:start])

    @property
    def reply(self) -> tuple[int, ...]:
        """The reply's token ids."""
        return self.whole.ids[self.prompt_tokens :]

    @property
    def text(self) -> str:
        """What the reply says."""
        return self.whole.text[self._reply_start() :]

    def _reply_start(self) -> int:
        """The character at which the reply begins."""
        written = [a for a, b in self.whole.spans[self.prompt_tokens :] if b > a]
        return min(written, default=len(self.whole.text))


def told_by(reply: Reply) -> Told:
    """What a model has replied, as it was written; the end-of-sequence token is left out, so that it compares
    with a reply given as a text.

    Raises:
        PromptError: for a reply of no token but that.
    """
    whole, end = reply.whole, len(reply.whole)
    while end > reply.prompt_tokens and whole.roles[end - 1] == "special":
        end -= 1
    return Told(
        Encoded(whole.ids[:end], whole.spans[:end], whole.roles[:end], whole.text), reply.prompt_tokens
    )


def tell(tokenizer: PreTrainedTokenizerBase, source: Source, reply: str, context: int | None = None) -> Told:
    """A reply given as a text, after its prompt.

    Args:
        tokenizer: the model's.
        source: a chat to which it replies, or a plain text which it goes on with.
        reply: what it says; a special token's text in it stays text.
        context: the longest sequence the model takes, in tokens.

    Raises:
        PromptError: for an empty reply, a prompt that cannot be encoded, or too many tokens.
    """
    prompt = encode(tokenizer, source, generation_prompt=not isinstance(source, str), context=context)
    if not reply.strip():
        raise PromptError("the reply is empty; give at least one word")
    require_text(reply)
    whole = _joined(tokenizer, prompt, reply)
    if context is not None and len(whole) > context:
        raise PromptError(f"prompt and reply have {len(whole):,} tokens, the model takes {context:,}")
    return Told(whole, len(prompt))


def _joined(tokenizer: PreTrainedTokenizerBase, prompt: Encoded, reply: str) -> Encoded:
    role = reply_role(prompt)
    if role == "text":
        # Some tokenizers treat the first word of a text apart, so what goes on is best cut from the whole.
        whole = encode(tokenizer, prompt.text + reply)
        if whole.ids[: len(prompt)] == prompt.ids and len(whole) > len(prompt):
            return whole
    batch = tokenizer(
        reply, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True, verbose=False
    )
    ids: list[int] = batch["input_ids"]
    offset = len(prompt.text)
    return Encoded(
        ids=(*prompt.ids, *ids),
        spans=(*prompt.spans, *((offset + a, offset + b) for a, b in batch["offset_mapping"])),
        roles=(*prompt.roles, *([role] * len(ids))),
        text=prompt.text + reply,
    )
