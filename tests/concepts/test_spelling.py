"""Slips and new words: only what is almost a known word is refused."""

from __future__ import annotations

import pytest

from affekt.concepts.concept import emotions
from affekt.concepts.spelling import check_spelling, slip_for
from affekt.errors import CorpusError

NAMES = tuple(emotion.name for emotion in emotions())


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("desparate", "desperate"),
        ("greif-stricken", "grief-stricken"),
        ("grief_stricken", "grief-stricken"),
        ("At Ease", "at ease"),
        ("at_ease", "at ease"),
        ("jelous", "jealous"),
        ("furius", "furious"),
        ("terified", "terrified"),
    ],
)
def test_slips_are_known_for_what_they_are(word: str, meant: str) -> None:
    assert slip_for(word, NAMES) == meant


@pytest.mark.parametrize(
    "word", ["curious", "unashamed", "hopeless", "frightening", "homesick", "moody", "zen"]
)
def test_new_words_are_not_slips(word: str) -> None:
    assert slip_for(word, NAMES) is None


def test_every_known_word_stands_beside_all_others() -> None:
    check_spelling({name: "f:1" for name in NAMES}, "emotion")


def test_a_slip_beside_known_words_names_place_and_cure() -> None:
    with pytest.raises(CorpusError) as caught:
        check_spelling({"calm": "f:1", "desparate": "f:2"}, "emotion")
    assert str(caught.value).startswith("f:2: unknown concept 'desparate'; did you mean 'desperate'?")


def test_own_words_and_a_world_of_own_concepts_are_left_alone() -> None:
    check_spelling({"weary": "f:1", "wary": "f:2"}, "emotion", own=["wary"])
    check_spelling({"desparate": "f:1", "saudade": "f:2"}, "emotion")
    check_spelling({"calm": "f:1", "desparate": "f:2"}, "trait")


def test_traits_are_held_against_the_traits() -> None:
    with pytest.raises(CorpusError, match="did you mean 'sarcastic'"):
        check_spelling({"plain": "f:1", "sarcastik": "f:2"}, "trait")
