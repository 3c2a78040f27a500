"""A chat as the text its template makes, with the characters that belong to each role.

Contents are found by rendering twice: once with a mark in place of every content, which shows the template's
own pieces, and once for real. A search for the contents alone would find a short one in the template's words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from affekt.concepts.source import Message
from affekt.errors import PromptError, closest

__all__ = ["Region", "Rendered", "Role", "render"]

Role: TypeAlias = Literal[
    "text", "special", "template", "system", "user", "assistant", "thinking", "tool", "generation"
]
"""Whose words a token is; `generation` is the start of the coming reply, `template` all other scaffolding."""

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}

PLAIN = {"system": "System", "developer": "System", "user": "Human", "assistant": "Assistant", "tool": "Tool"}
"""The names of the roles for a base model, which has no template."""

THOUGHT = re.compile(r"<think>(.*?)(?:</think>|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Region:
    """Characters `start` to `end` of the rendered text, and whose they are."""

    start: int
    end: int
    role: Role


@dataclass(frozen=True)
class Rendered:
    """A chat as text."""

    text: str
    """What the template made."""
    regions: tuple[Region, ...]
    """In order, not overlapping; what is in none of them is the template's."""


@dataclass(frozen=True)
class _Slot:
    """A stretch of a message, and the mark that stands for it while the template's pieces are found."""

    mark: str
    words: str
    role: Role
    message: int


def render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    generation_prompt: bool = False,
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> Rendered:
    """The chat through the tokenizer's template, or as `Human: …` and `Assistant: …` where it has none.

    Raises:
        PromptError: for no messages, an unknown role, a content that is no text, a chat that the template
            refuses, or a message that it leaves out.
    """
    chat = _checked(messages)
    if tools and not tokenizer.chat_template:
        raise PromptError("this model has no chat template, so it takes no tools")
    marked, slots = _marked(chat)
    text = _apply(tokenizer, chat, tools)
    regions = _locate(text, _apply(tokenizer, marked, tools), slots)
    regions += _tool_calls(tokenizer, chat, tools, text)
    regions = [_with_tags(text, region) for region in regions]
    if generation_prompt:
        full = _apply(tokenizer, chat, tools, generation_prompt=True)
        start = _shared(text, full)
        regions = [region for region in regions if region.end <= start]
        regions.append(Region(start, len(full), "generation"))
        text = full
    return Rendered(text, tuple(sorted(regions, key=lambda region: region.start)))


def _checked(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages as plain dictionaries whose contents are strings."""
    if not isinstance(messages, Sequence):
        raise PromptError(f"expected a text or a list of messages, not {type(messages).__name__}")
    if not messages:
        raise PromptError(
            "the chat has no messages; give at least one, such as {'role': 'user', 'content': 'Hi'}"
        )
    chat = []
    for number, message in enumerate(messages, 1):
        if not isinstance(message, Mapping) or "role" not in message:
            raise PromptError(f"message {number} is not an object with 'role' and 'content': {message!r:.80}")
        role = message["role"]
        if not isinstance(role, str) or role not in ROLES:
            known = ", ".join(ROLES)
            raise PromptError(
                f"unknown role {role!r:.60} in message {number}{closest(str(role), ROLES)} (known: {known})"
            )
        chat.append({**message, "content": _plain(message, number)})
    return chat


def _plain(message: Message, number: int) -> str:
    """A content as one string; a list of text parts, as OpenAI clients send, is joined."""
    content = message.get("content")
    if content is None and message.get("tool_calls"):
        return ""
    if isinstance(content, Sequence) and not isinstance(content, str):
        parts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
        if parts and all(isinstance(part, str) for part in parts):
            return "".join(part for part in parts if part)
    if not isinstance(content, str):
        raise PromptError(f"the content of message {number} must be text, not {content!r:.60}")
    return content


def _marked(chat: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[_Slot]]:
    """The chat with a mark for each stretch of content; thoughts keep their tags: templates look for them."""
    everything = json.dumps([dict(message) for message in chat], default=str)
    stem = "slot"
    while stem in everything:
        stem += "x"
    slots: list[_Slot] = []

    def mark(words: str, role: Role, message: int) -> str:
        if not words.strip():
            return words
        slots.append(_Slot(f"{stem}{len(slots)}{stem}", words, role, message))
        return slots[-1].mark

    marked = []
    for number, message in enumerate(chat):
        role, copy = ROLES[message["role"]], dict(message)
        if isinstance(copy.get("reasoning_content"), str):
            copy["reasoning_content"] = mark(copy["reasoning_content"], "thinking", number)
        pieces, end = [], 0
        for thought in THOUGHT.finditer(message["content"]) if role == "assistant" else ():
            pieces.append(mark(message["content"][end : thought.start()], role, number))
            thinking = mark(thought[1], "thinking", number)
            pieces.append(thought[0].replace(thought[1], thinking, 1) if thought[1] else thought[0])
            end = thought.end()
        pieces.append(mark(message["content"][end:], role, number))
        copy["content"] = "".join(pieces)
        marked.append(copy)
    return marked, slots


def _apply(
    tokenizer: PreTrainedTokenizerBase,
    chat: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] | None,
    generation_prompt: bool = False,
) -> str:
    if not tokenizer.chat_template:
        turns = [f"{PLAIN[message['role']]}: {message['content']}" for message in chat]
        return "\n\n".join([*turns, "Assistant:"] if generation_prompt else turns)
    try:
        text = tokenizer.apply_chat_template(
            [dict(message) for message in chat],
            tools=[dict(tool) for tool in tools] if tools else None,
            tokenize=False,
            add_generation_prompt=generation_prompt,
        )
    except (TemplateError, TypeError, ValueError) as error:
        raise PromptError(f"the model's chat template refuses this chat: {error}") from error
    return str(text)


def _locate(text: str, pattern: str, slots: Sequence[_Slot]) -> list[Region]:
    """Where each slot's words stand in `text`, given the same chat rendered with marks."""
    by_mark = {slot.mark: slot for slot in slots}
    shown = re.split(f"({'|'.join(map(re.escape, by_mark))})", pattern) if by_mark else [pattern]
    literals, marks = shown[0::2], shown[1::2]
    for slot in slots:
        if slot.mark not in marks and slot.role != "thinking":
            role = slot.role
            raise PromptError(
                f"the model's chat template leaves out message {slot.message + 1} (role {role!r})"
            )
    regions, at = [], len(literals[0]) if text.startswith(literals[0]) else 0
    for mark, following in zip(marks, literals[1:], strict=True):
        slot = by_mark[mark]
        start, words = _fit(text, at, slot, following)
        regions.append(Region(start, start + len(words), slot.role))
        at = start + len(words)
        at += len(following) if text.startswith(following, at) else 0
    return regions


def _fit(text: str, at: int, slot: _Slot, following: str) -> tuple[int, str]:
    """The slot's words as shown at or after `at`: whole, stripped as templates do, or escaped inside JSON."""
    whole = slot.words
    forms = [whole, whole.rstrip("\n"), whole.lstrip("\n"), whole.strip("\n")]
    forms += [whole.rstrip(), whole.lstrip(), whole.strip()]
    forms += [json.dumps(whole, ensure_ascii=ascii_only)[1:-1] for ascii_only in (False, True)]
    for form in forms:
        if text.startswith(form, at) and text.startswith(following, at + len(form)):
            return at, form
    for form in forms:
        if (start := text.find(form, at)) >= 0:
            return start, form
    raise PromptError(
        f"the model's chat template rewrites message {slot.message + 1}, so its tokens cannot be told"
    )


def _tool_calls(
    tokenizer: PreTrainedTokenizerBase,
    chat: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] | None,
    text: str,
) -> list[Region]:
    """What the template adds for each assistant message's tool calls; those are the assistant's own words."""
    regions = []
    for number, message in enumerate(chat):
        if not message.get("tool_calls"):
            continue
        bare = [dict(other) for other in chat]
        del bare[number]["tool_calls"]
        without = _apply(tokenizer, bare, tools)
        start = _shared(text, without)
        end = len(text) - _shared(text[start:][::-1], without[start:][::-1])
        while start > 0 and end > start and text[start - 1] == text[end - 1]:
            # What follows begins as the call does, with `<` most often: the first of the two is the call's.
            start, end = start - 1, end - 1
        regions.append(Region(start, end, "assistant"))
    return regions


def _shared(one: str, other: str) -> int:
    """How many characters the two begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))  # noqa: B905


def _with_tags(text: str, region: Region) -> Region:
    """A thought together with the tags around it."""
    if region.role != "thinking":
        return region
    opening = re.search(r"<think>\s*\Z", text[: region.start])
    closing = re.match(r"\s*</think>", text[region.end :])
    return replace(
        region,
        start=opening.start() if opening else region.start,
        end=region.end + closing.end() if closing else region.end,
    )
