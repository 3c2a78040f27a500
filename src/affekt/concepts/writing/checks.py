"""What is refused, and why: the reasons are few, and the summary counts by them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from affekt.concepts.naming import named
from affekt.concepts.writing.kinds import Draft, Kind, Misshapen
from affekt.concepts.writing.likeness import Likeness
from affekt.concepts.writing.names import Names, names_in
from affekt.concepts.writing.order import Cell
from affekt.concepts.writing.reply import items

__all__ = ["Refusal", "Sieve", "faults"]

_DECLINED = re.compile(r"\b(?:I'm sorry|I cannot|I can't|I am unable|As an AI)\b", re.IGNORECASE)

_ENDS = tuple(".!?…\"”'’)»*")
"""Signs that a text may end with; one that is cut off ends with none."""


@dataclass(frozen=True)
class Refusal:
    """One text, or one whole reply, that was not taken."""

    reason: str
    """Which check it failed, in the same words each time."""
    detail: str
    """What it failed by."""


@dataclass
class Sieve:
    """The checks on one corpus. It remembers what it has let through."""

    kind: Kind
    """The kind of text."""
    least: int
    """Fewest words."""
    likeness: Likeness
    """The texts so far."""
    names: Names
    """Their names."""

    @classmethod
    def of(cls, kind: Kind, least: int | None = None) -> Sieve:
        """An empty one."""
        return cls(kind, kind.least if least is None else least, Likeness(), Names.of(()))

    def sift(self, reply: str, cell: Cell, most: int) -> tuple[list[dict[str, Any]], list[Refusal]]:
        """The records of a reply that are taken, at most `most`, and the refusals; more is ignored."""
        found = items(reply)
        if found is None:
            declined = _DECLINED.search(reply[:300])
            return [], [Refusal("declined" if declined else "no JSON", _short(reply))]
        taken: list[dict[str, Any]] = []
        refused: list[Refusal] = []
        for item in found:
            if len(taken) == most:
                break
            try:
                draft = self.kind.take(item, cell)
            except Misshapen as error:
                refused.append(Refusal("wrong shape", f"{error}: {_short(str(item))}"))
                continue
            refusal = self.refusal(draft)
            if refusal is not None:
                refused.append(refusal)
            else:
                self.let_through(draft.body)
                taken.append(draft.record)
        if not found:
            refused.append(Refusal("no texts", _short(reply)))
        return taken, refused

    def refusal(self, draft: Draft) -> Refusal | None:
        """The first check that a draft fails."""
        words = len(draft.body.split())
        if words < self.least:
            return Refusal("too short", f"{words} words, at least {self.least}: {_short(draft.body)}")
        if not draft.body.rstrip().endswith(_ENDS):
            return Refusal("cut off", f"…{draft.body[-60:]}")
        try:
            draft.body.encode("utf-8")
        except UnicodeEncodeError:
            return Refusal("not text", "half a surrogate pair")
        for concept, text in draft.unsaid:
            word = named(concept, text)
            if word is not None:
                return Refusal("names the emotion", f"{concept}: {word!r} in {_around(text, word)}")
        like = self.likeness.like(draft.body)
        if like is not None:
            name, share = like
            return Refusal("twice" if share == 1 else "nearly twice", f"{share:.0%} of {name}")
        often = sorted(names_in(draft.body) & {name for name, _ in self.names.often()})
        if often:
            return Refusal("a name too often", f"{', '.join(often)}: {_short(draft.body)}")
        return None

    def let_through(self, body: str) -> None:
        """Remember the words of a text that was taken."""
        self.likeness.add(f"text {self.names.texts + 1}", body)
        self.names.counts.update(names_in(body))
        self.names = Names(self.names.texts + 1, self.names.counts)


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 80 else words[:79] + "…"


def _around(text: str, word: str) -> str:
    at = text.replace("’", "'").find(word)
    return "…" + " ".join(text[max(0, at - 30) : at + len(word) + 30].split()) + "…"


def faults(refused: Sequence[Refusal]) -> str:
    """What a writer is told of its last reply before it is asked again; empty where nothing was refused."""
    told = {
        "no JSON": "it was not JSON",
        "no texts": "it held no texts",
        "wrong shape": "its JSON had another form than the one asked for",
        "too short": "a text was too short",
        "cut off": "a text had no end",
        "names the emotion": "a text named the emotion",
        "twice": "a text was one that stands already",
        "nearly twice": "a text was too like one that stands already",
        "a name too often": "a text used a name that too many others have",
    }
    said = dict.fromkeys(told[one.reason] for one in refused if one.reason in told)
    return f"\nThe last answer could not be used whole: {'; '.join(said)}. Write anew.\n" if said else ""
