from __future__ import annotations

import pytest

from affekt.concepts.writing.reply import items

GOOD = ["one", "two"]


@pytest.mark.parametrize(
    "reply",
    [
        '{"texts": ["one", "two"]}',
        'Sure! Here you are:\n```json\n{"texts": ["one", "two"]}\n```\nEnjoy.',
        '["one", "two"]',
        '{"stories": ["one", "two"]}',
        '{"texts": ["one", "two",]}',
        '{"texts": ["one", "two"',
        "{'texts': ['one', 'two']}",
        '<think>{"texts": []}</think>{"texts": ["one", "two"]}',
        '[{"texts": ["one", "two"]}]',
        '```\n{"texts": ["one", "two"]}',
    ],
)
def test_lists_are_found_however_they_are_wrapped_or_broken(reply: str) -> None:
    assert items(reply) == GOOD


def test_a_line_break_within_a_string_is_no_harm() -> None:
    assert items('{"texts": ["one\ntwo"]}') == ["one\ntwo"]


def test_one_conversation_is_one_item() -> None:
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert items('[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]') == [chat]
    assert items('{"preamble": "p", "turns": []}') == [{"preamble": "p", "turns": []}]


@pytest.mark.parametrize("reply", ["", "I'm sorry, I can't.", "Once upon a time."])
def test_no_json_is_none(reply: str) -> None:
    assert items(reply) is None


@pytest.mark.parametrize("reply", ["{", "[[[[" * 5000, '{"texts": "one"}', "{}", "[]", "[1, null]"])
def test_nonsense_never_raises(reply: str) -> None:
    found = items(reply)
    assert found is None or isinstance(found, list)
