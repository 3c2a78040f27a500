"""Is a text new? Exact copies, and texts that share most of their phrases."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

__all__ = ["NEAR", "Likeness"]

NEAR = 0.4
"""From this share of common runs of words on (Jaccard) two texts are one. Two stories by one hand about the
same topic and emotion share less than a tenth."""

RUN = 4
"""Words of a run."""

KEPT = 4
"""One run in so many is kept, the same ones in every text: a likeness is then an estimate, and a corpus of
200,000 texts still fits."""


class Likeness:
    """The texts so far."""

    def __init__(self, near: float = NEAR) -> None:
        self.near = near
        self._exact: dict[bytes, str] = {}
        self._sizes: dict[str, int] = {}
        self._holders: defaultdict[int, list[str]] = defaultdict(list)

    def like(self, text: str) -> tuple[str, float] | None:
        """The name of a text so far that this one is, and how far it is; None for a new text."""
        same = self._exact.get(_digest(text))
        if same is not None:
            return same, 1.0
        runs = _runs(text)
        common = Counter(holder for run in runs for holder in self._holders.get(run, ()))
        shares = {
            holder: count / (len(runs) + self._sizes[holder] - count)
            for holder, count in common.most_common(8)
        }
        nearest = max(shares, key=shares.__getitem__, default=None)
        return None if nearest is None or shares[nearest] < self.near else (nearest, shares[nearest])

    def add(self, name: str, text: str) -> None:
        """Remember a text under a name."""
        runs = _runs(text)
        self._exact[_digest(text)] = name
        self._sizes[name] = len(runs)
        for run in runs:
            self._holders[run].append(name)


def _words(text: str) -> list[str]:
    return "".join(sign if sign.isalnum() else " " for sign in text.casefold()).split()


def _digest(text: str) -> bytes:
    return hashlib.blake2b(" ".join(_words(text)).encode(), digest_size=16).digest()


def _runs(text: str) -> set[int]:
    words = _words(text)
    hashes = {
        int.from_bytes(hashlib.blake2b(" ".join(words[i : i + RUN]).encode(), digest_size=8).digest(), "big")
        for i in range(max(1, len(words) - RUN + 1))
    }
    kept = {value for value in hashes if value % KEPT == 0}
    return kept or hashes
