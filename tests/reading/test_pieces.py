from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affekt.reading.pieces import Piece, about, pieces, turns, visible
from tests.reading.readings import chat, made, parts


@given(parts())
def test_every_character_and_every_token_is_shown_once(of):
    reading = made(*of)
    shown = pieces(reading)
    assert "".join(piece.text for piece in shown if piece.written) == reading.text
    assert [piece.token for piece in shown if piece.token is not None] == list(range(len(reading)))
    in_turns = [piece for turn in turns(reading) for piece in turn.pieces]
    assert in_turns == shown, "turns keep every piece, in order"


def test_characters_between_the_chosen_tokens_stay():
    reading = chat().where("user")
    assert [piece.token for piece in pieces(reading)] == [None, 0, 1, 2, 3, None]
    assert "".join(piece.text for piece in pieces(reading)) == reading.text


def test_a_character_of_several_tokens_is_shown_once():
    reading = replace(
        made([("a", "text"), ("b", "text"), ("c", "text")]),
        text="🦆!",
        spans=((0, 1), (0, 1), (0, 2)),
    )
    assert [piece.text for piece in pieces(reading)] == ["🦆", "", "!"]


def test_a_token_without_characters_is_shown_by_its_name():
    assert pieces(chat())[0] == Piece("<s>", 0, "special", written=False)
    assert pieces(chat())[0].scaffold and not pieces(chat())[3].scaffold


def test_turns_are_the_speakers_with_the_scaffolding_before_them():
    said = [(turn.role, "".join(piece.text for piece in turn.pieces)) for turn in turns(chat())]
    assert said == [
        ("user", "<s><|user|>\nI am lost."),
        ("assistant", "\n<|assistant|>\nBreathe, slowly."),
    ]


def test_two_messages_of_one_speaker_are_two_turns():
    tokens = [("Hi", "user"), ("<end>", "special"), ("Ho", "user"), (" ho", "user"), ("<end>", "special")]
    assert [len(turn.pieces) for turn in turns(made(tokens))] == [1, 4]


def test_the_open_end_of_a_prompt_is_a_turn_of_its_own():
    reading = chat().take(range(10))
    assert [turn.role for turn in turns(reading)] == ["user", "generation"]
    assert [turn.role for turn in turns(chat().take([]))] == [""]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("a\rb\x00\x7f", "a␍b␀␡"),
        ("ev\u202elive", "ev⟨U+202E⟩live"),
        ("zero\u200bwidth\ufeff", "zero⟨U+200B⟩width⟨U+FEFF⟩"),
        ("\ud83d", "⟨U+D83D⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
        ("line\n\ttab", "line\n\ttab"),
        ("👩\u200d💻 नमस्ते ひ", "👩\u200d💻 नमस्ते ひ"),
    ],
)
def test_nothing_hidden_gets_through(text, shown):
    assert visible(text) == shown


@given(st.text())
def test_visible_text_can_be_printed_anywhere(text):
    shown = visible(text)
    shown.encode("utf-8")
    assert not any(ord(c) < 32 and c not in "\n\t" for c in shown)
    assert visible(shown) == shown


def test_about_is_one_line():
    assert about(chat()) == "tiny-model · layer 20 · 14 tokens · 3 concepts"
    one = replace(chat().take([3]).select(["calm"]), model="", smoothing="a\nb")
    assert about(one) == "layer 20 · 1 token · 1 concept · smoothed: a↵b"
