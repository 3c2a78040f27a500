"""A watch that does as it is told and remembers what it saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from affekt.engines import Directive, Token, Watch, WatchRow

Rule = Callable[[WatchRow, int], Directive | None]
"""Gets the row and how many times the watch was called before, the prompt's end not counted."""


@dataclass
class Seen:
    """One reply's watch."""

    rule: Rule
    concepts: tuple[str, ...]
    z: list[np.ndarray] = field(default_factory=list)
    rows: list[WatchRow] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)

    @property
    def events(self) -> tuple[Any, ...]:
        return (len(self.tokens),)

    def prompt_end(self, row: WatchRow) -> Directive | None:
        assert not row.tokens and not self.rows
        self.rows.append(row)
        return self.rule(row, -1)

    def token(self, row: WatchRow, token: Token) -> Directive | None:
        assert row.tokens[-1] == token.id and len(row.tokens) == token.index + 1
        self.rows.append(row)
        self.tokens.append(token)
        return self.rule(row, len(self.tokens) - 1)


@dataclass
class Told:
    """A policy that follows a rule."""

    rule: Rule = lambda _row, _calls: None
    hold: int = 0
    rewind: int = 0
    made: list[Seen] = field(default_factory=list)

    def watch(self, request: str, choice: int, concepts: tuple[str, ...]) -> Watch:  # noqa: ARG002
        self.made.append(Seen(self.rule, concepts))
        return self.made[-1]


def at(call: int, directive: Directive) -> Rule:
    """The directive at one call; -1 is the prompt's end."""
    return lambda _row, calls: directive if calls == call else None
