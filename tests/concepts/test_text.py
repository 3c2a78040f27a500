"""One record: the shapes that are taken, and every way in which one is refused."""

from __future__ import annotations

from typing import Any

import pytest

from affekt.concepts.text import Text, plain, text_of
from affekt.errors import CorpusError

GOOD = {"topic": "storm", "form": "story", "concept": "at ease", "text": "The roof held."}
CHAT = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Oh. It's you."}]


def test_a_text_and_a_chat_are_read_and_written_back() -> None:
    text = text_of(GOOD, "f:1")
    assert text == Text("storm", "story", "at ease", "The roof held.")
    assert text.plain == "The roof held." and text.record() == GOOD
    labels = {key: GOOD[key] for key in ("topic", "form", "concept")}
    chat = text_of(labels | {"messages": CHAT}, "f:1")
    assert chat.body == tuple(CHAT)
    assert chat.plain == "Hello?\n\nOh. It's you." == plain(CHAT)
    assert chat.record() == labels | {"messages": CHAT}


def bad(changes: dict[str, Any], *drop: str) -> dict[str, Any]:
    return {key: value for key, value in (GOOD | changes).items() if key not in drop}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (bad({"emotion": "sad"}), "unknown key 'emotion'; did you mean 'concept'?"),
        (bad({"trait": "sad"}), "unknown key 'trait'; did you mean 'concept'?"),
        (bad({"topik": "storm"}, "topic"), "unknown key 'topik'; did you mean 'topic'?"),
        (bad({"xyzzy": 1}), "unknown key 'xyzzy'; a record has the keys 'topic', 'form', 'concept'"),
        (bad({}, "concept"), "no 'concept'; a record has the keys"),
        (bad({}, "form"), "no 'form'"),
        (bad({"topic": 3}), "'topic' must be a string, found int"),
        (bad({"concept": " "}), "'concept' is empty"),
        (bad({"concept": "sad "}), "'concept' has spaces around it; did you mean 'sad'?"),
        (bad({}, "text"), "neither 'text' nor 'messages'"),
        (bad({"messages": CHAT}), "both 'text' and 'messages'"),
        (bad({"text": "  \n"}), "'text' is empty"),
        (bad({"text": CHAT}), "'text' must be a string, found list; a chat goes in 'messages'"),
        (bad({"text": "half \ud800 pair"}), "half a surrogate pair"),
        (bad({"messages": []}, "text"), "'messages' must be a list of at least one message"),
        (bad({"messages": "hi"}, "text"), "'messages' must be a list of at least one message"),
        (
            bad({"messages": [{"role": "user"}]}, "text"),
            "message 1 must be an object with 'role' and 'content'",
        ),
        (
            bad({"messages": [*CHAT, {"role": "asistant", "content": "x"}]}, "text"),
            "message 3 has the unknown role 'asistant'; did you mean 'assistant'?",
        ),
        (bad({"messages": [{"role": "user", "content": ""}]}, "text"), "message 1 (user) is empty"),
        (
            bad({"messages": [{"role": "user", "content": None}]}, "text"),
            "message 1 (user) is empty or not a string",
        ),
    ],
)
def test_a_wrong_record_is_refused_with_its_place(record: dict[str, Any], message: str) -> None:
    with pytest.raises(CorpusError) as caught:
        text_of(record, "corpus/a.jsonl:7")
    assert str(caught.value).startswith("corpus/a.jsonl:7: ")
    assert message in str(caught.value)
