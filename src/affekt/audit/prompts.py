"""The messages that an audit asks of both models."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from affekt.concepts import Message
from affekt.concepts.jsonl import records
from affekt.concepts.shipped import battery
from affekt.errors import CorpusError, closest

__all__ = ["ANSWER", "Form", "Prompt", "chat", "digest", "load_prompts", "plain", "shipped_prompts"]

Form: TypeAlias = Literal["plain", "chat"]
"""How a message is put: as Human/Assistant text, or by the chat template."""

ANSWER = "\n\nAssistant:"
"""What an answer follows in plain text."""

FIELDS = ("text", "id", "group", "kind", "paraphrase")


@dataclass(frozen=True)
class Prompt:
    """One user message."""

    id: str
    """Its name."""
    group: str
    """What it is reported under, such as `neutral`."""
    kind: str
    """What it is about; empty where a user's file does not say."""
    text: str
    """The message."""
    paraphrase: str | None = None
    """The same in other words; the audit's floor uses it."""


def shipped_prompts() -> tuple[Prompt, ...]:
    """The shipped battery: 48 challenging messages of the paper's kinds (section 9), 42 neutral, 42 of
    ordinary assistant work."""
    return tuple(Prompt(q.id, q.group, q.kind, q.text, q.paraphrase) for q in battery())


def load_prompts(path: Path) -> tuple[Prompt, ...]:
    """A user's own: JSON Lines with `text`, and optionally `id`, `group`, `kind` and `paraphrase`.

    Raises:
        CorpusError: naming file and line, for a missing or empty text, an unknown field, a name that stands
            twice, or a file without prompts.
    """
    prompts: list[Prompt] = []
    for where, row in records(path):
        for field in row:
            if field not in FIELDS:
                raise CorpusError(f"{where}: unknown field {field!r}{closest(field, FIELDS)}")
        for field, value in row.items():
            if not isinstance(value, str) or not value.strip():
                raise CorpusError(f"{where}: {field!r} must be a text that is not empty, not {value!r:.40}")
        if "text" not in row:
            raise CorpusError(f"{where}: a prompt needs a 'text'")
        prompts.append(
            Prompt(
                row.get("id", f"{len(prompts) + 1}"),
                row.get("group", "prompts"),
                row.get("kind", ""),
                row["text"],
                row.get("paraphrase"),
            )
        )
    if not prompts:
        raise CorpusError(f"{path}: no prompts in it")
    [(name, times)] = Counter(prompt.id for prompt in prompts).most_common(1)
    if times > 1:
        raise CorpusError(f"{path}: the id {name!r} stands {times} times")
    for group, times in Counter(prompt.group for prompt in prompts).items():
        if times < 2:
            raise CorpusError(
                f"{path}: the group {group!r} has one prompt; a mean with an interval needs two"
            )
    return tuple(prompts)


def plain(text: str) -> str:
    """The message in the form that a base model knows as well (paper section 9)."""
    return f"Human: {text}{ANSWER}"


def chat(text: str) -> Sequence[Message]:
    """The message as a chat of one turn, for the model's own template."""
    return [{"role": "user", "content": text}]


def digest(prompts: Sequence[Prompt]) -> str:
    """A hash of all that is asked."""
    return hashlib.sha256(json.dumps([asdict(prompt) for prompt in prompts]).encode()).hexdigest()
