"""The kinds of text that can be written: how each is ordered, its shape, what must not be said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeAlias

from affekt.concepts.writing.order import Cell, Premise, by_concept, by_pair, by_topic, one_each
from affekt.errors import CorpusError, closest

__all__ = ["KINDS", "Draft", "Kind", "Misshapen", "body_of", "kind_of"]


class Misshapen(Exception):
    """An item that is no text of its kind; says what is wrong."""


@dataclass(frozen=True)
class Draft:
    """An item of a reply as a record of the corpus."""

    record: dict[str, Any]
    """What goes into the corpus's file."""
    body: str
    """The words that are checked for length, for names and for being new."""
    unsaid: tuple[tuple[str, str], ...] = ()
    """Concept and the words in which it must not be named."""


Take: TypeAlias = Callable[[Any, Cell], Draft]


@dataclass(frozen=True)
class Kind:
    """One kind of text."""

    name: str
    """As on the command line."""
    says: str
    """What it is."""
    plan: Callable[[Sequence[Premise], Sequence[str], int], Iterator[Cell]]
    """Cells for premises, concepts and a seed."""
    take: Take
    """An item of a reply as a draft.

    Raises:
        Misshapen: it is something else."""
    premises: str
    """The shipped topics."""
    a_call: int
    """Texts asked for in one call, unless told otherwise."""
    least: int
    """Fewest words of a text. A word is at least a token, so that what is left after the 50 tokens that an
    extraction skips is never nothing."""
    tokens: int
    """Tokens of reply that one text may take."""
    by_topic: bool = False
    """Whether each topic has a file of its own."""

    @property
    def prompt(self) -> str:
        """The shipped prompt."""
        file = resources.files("affekt.concepts") / "data" / "prompts" / f"{self.name}.txt"
        return file.read_text(encoding="utf-8")


def kind_of(name: str) -> Kind:
    """A kind by its name.

    Raises:
        CorpusError: there is none of that name.
    """
    if name not in KINDS:
        raise CorpusError(f"unknown kind of text {name!r}{closest(name, KINDS)} (known: {', '.join(KINDS)})")
    return KINDS[name]


def body_of(record: Mapping[str, Any]) -> str:
    """The words of a record that count: the text, the turns, or what A says in a scene."""
    if "text" in record:
        return str(record["text"])
    if "turns" in record:
        return " ".join(turn["text"] for turn in record["turns"] if turn["role"] == "A")
    return _said(record["messages"])


def _story(item: Any, cell: Cell) -> Draft:
    if isinstance(item, dict):
        item = next((item[key] for key in ("text", "story", "content", "body") if key in item), None)
    if not isinstance(item, str):
        raise Misshapen("a story is a text")
    text = item.strip()
    record = {"topic": cell["topic"], "form": "story", "concept": cell["concept"], "text": text}
    return Draft(record, text, ((cell["concept"], text),))


def _neutral(item: Any, cell: Cell) -> Draft:
    chat = _chat(item, 2)
    if chat[-1]["role"] != "assistant":
        raise Misshapen("the assistant has the last word")
    return Draft({"topic": cell["topic"], "messages": chat}, _said(chat))


def _two_emotions(item: Any, cell: Cell) -> Draft:
    chat = [turn for turn in _chat(item, 4) if turn["role"] != "system"]
    whole = _said(chat)
    keys = ("topic", "user_emotion", "assistant_emotion")
    record = {**{key: cell[key] for key in keys}, "messages": chat}
    return Draft(record, whole, tuple((cell[key], whole) for key in keys[1:]))


def _deflection(item: Any, cell: Cell) -> Draft:
    if not isinstance(item, dict) or not isinstance(item.get("preamble"), str):
        raise Misshapen("a scene has a preamble and turns")
    turns = item.get("turns")
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise Misshapen("turns are a list of objects")
    made = []
    for turn in turns:
        values = {key: str(turn.get(key) or "").strip() for key in ("speaker", "role", "text")}
        if values["role"] not in ("A", "B") or not values["text"] or not values["speaker"]:
            raise Misshapen("a turn has a speaker, the role A or B, and a text")
        made.append(values)
    said = " ".join(turn["text"] for turn in made)
    record = {
        "felt": cell["felt"],
        "shown": cell["shown"],
        "preamble": item["preamble"].strip(),
        "turns": made,
    }
    return Draft(record, body_of(record), ((cell["felt"], said), (cell["shown"], said)))


_ROLES = {"user": "user", "person": "user", "human": "user", "assistant": "assistant", "ai": "assistant"}
_ROLES |= {"system": "system"}


def _chat(item: Any, least: int) -> list[dict[str, str]]:
    if isinstance(item, dict):
        item = next((item[key] for key in ("messages", "turns", "conversation") if key in item), None)
    if not isinstance(item, list):
        raise Misshapen("a conversation is a list of turns")
    chat = []
    for turn in item:
        role = content = None
        if isinstance(turn, dict):
            role = _ROLES.get(str(turn.get("role", turn.get("speaker"))).casefold())
            content = turn.get("content", turn.get("text"))
        if role is None or not isinstance(content, str) or not content.strip():
            raise Misshapen("a turn has the role user or assistant, and content")
        chat.append({"role": role, "content": content.strip()})
    roles = [turn["role"] for turn in chat]
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    if len(spoken) < least or spoken != (["user", "assistant"] * len(spoken))[: len(spoken)]:
        raise Misshapen(f"at least {least} turns that alternate, the person first")
    return chat


def _said(chat: Sequence[Mapping[str, str]]) -> str:
    return "\n\n".join(turn["content"] for turn in chat)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "stories",
            "a story a text, for the vectors (paper 2.1)",
            by_concept, _story, "premises", a_call=4, least=60, tokens=300, by_topic=True,
        ),
        Kind(
            "neutral",
            "dialogues without emotion (2.2)",
            by_topic, _neutral, "plain_topics", a_call=4, least=55, tokens=400,
        ),
        Kind(
            "two_emotions",
            "dialogues in which each side has an emotion of its own (6.1)",
            one_each, _two_emotions, "premises", a_call=1, least=60, tokens=900,
        ),
        Kind(
            "deflection",
            "scenes in which one emotion is hidden behind another (6.4)",
            by_pair, _deflection, "premises", a_call=1, least=25, tokens=500,
        ),
    )
}  # fmt: skip
"""Every kind by its name."""
