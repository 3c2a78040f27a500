from __future__ import annotations

import pytest

from affekt.concepts import emotions
from affekt.concepts.naming import named


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("angry", "He was ANGRY.", "ANGRY"),
        ("angry", "She spoke angrily.", "angrily"),
        ("angry", "His anger rose.", "anger"),
        ("happy", "the happiest day", "happiest"),
        ("sad", "saddest", "saddest"),
        ("sad", "She put a saddle on the horse.", None),
        ("alarmed", "an alarming noise", "alarming"),
        ("worried", "Do not worry.", "worry"),
        ("trapped", "It was a trap.", "trap"),
        ("at ease", "He stood at\nease.", "at\nease"),
        ("worn out", "a worn-out coat", "worn-out"),
        ("grief-stricken", "Grief has no end.", "Grief"),
        ("kind", "It was a kind of box.", None),
        ("kind", "It was kind.", "kind"),
        ("kind", "Her kindness.", "kindness"),
        ("mad", "She made a cake.", None),
        ("content", "The content of the box; contentment", "content"),
        ("afraid", "The dog ran.", None),
        ("furious", "His fury was cold", "fury"),
        ("miserable", "miserably", "miserably"),
    ],
)
def test_forms_of_a_word_are_found(word: str, text: str, found: str | None) -> None:
    assert named(word, text) == found


def test_every_emotion_is_found_as_it_stands_and_in_capitals() -> None:
    for emotion in emotions():
        assert named(emotion.name, f"so {emotion.name.upper()}, they said") is not None
        assert named(emotion.name, "The box stood on the table by the door.") is None
