"""Telling a misspelt concept from a new one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

from affekt.concepts.concept import Kind, known
from affekt.errors import CorpusError

__all__ = ["check_spelling", "slip_for"]

_NEAR = 0.85
"""From this likeness on, two words with the same first letter are taken for one; `desparate` has 0.89."""


def check_spelling(places: Mapping[str, str], kind: Kind, own: Collection[str] = ()) -> None:
    """Refuse a corpus in which a concept is almost, but not quite, a known one.

    A corpus that shares no concept with the known ones is a world of its own and is left alone.

    Args:
        places: concept -> `file:line` of its first text.
        kind: which known concepts to hold it against.
        own: words that are meant as they stand.

    Raises:
        CorpusError: naming the place, the word and the known one.
    """
    names = tuple(concept.name for concept in known(kind))
    if not set(names) & set(places):
        return
    for word, where in places.items():
        if word in names or word in own:
            continue
        meant = slip_for(word, names)
        if meant is not None:
            raise CorpusError(
                f"{where}: unknown concept {word!r}; did you mean {meant!r}? "
                f"(if it is a concept of your own, name it in `own`)"
            )


def slip_for(word: str, names: Collection[str]) -> str | None:
    """The name that `word` is probably a slip for, or None.

    Case, hyphens and underscores do not count. Words that differ in their first letter (`curious`, `furious`)
    or by a prefix (`unashamed`, `ashamed`) are different words.
    """
    plain = {_plain(name): name for name in names}
    near = difflib.get_close_matches(_plain(word), plain, n=3, cutoff=_NEAR)
    return next((plain[each] for each in near if each[0] == _plain(word)[0]), None)


def _plain(word: str) -> str:
    return " ".join(word.casefold().replace("-", " ").replace("_", " ").split())
