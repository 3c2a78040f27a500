"""Small reference texts in place of the shipped ones, for tests that extract."""

from __future__ import annotations

import pytest

from affekt.concepts.shipped import TwoEmotions
from affekt.vectors import references
from tests.vectors.fake import made_corpus

LETTERS = made_corpus(topics=("home",), forms=("message", "observer"), each=1, words=30)

DIALOGUES = tuple(
    TwoEmotions(
        "any",
        "calm",
        "angry",
        (
            {"role": "user", "content": f"what {n} now"},
            {"role": "assistant", "content": f"nothing {n} much really"},
            {"role": "user", "content": "fine then"},
            {"role": "assistant", "content": f"bye {n}"},
        ),
    )
    for n in range(3)
)

NEUTRAL = tuple(
    (
        {"role": "user", "content": f"sort {n} lines of text"},
        {"role": "assistant", "content": f"use sort {n}"},
    )
    for n in range(20)
)


@pytest.fixture
def small_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "stories", lambda: LETTERS)
    monkeypatch.setattr(references, "two_emotions", lambda: DIALOGUES)
    monkeypatch.setattr(references, "neutral", lambda: NEUTRAL)
