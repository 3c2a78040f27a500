from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affekt.engines import Request, Sampling
from affekt.engines.transformers.wording import Wording
from tests.engines.small import CHAT, TEXT, answers, engine, opened
from tests.models import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
ORDINARY = st.lists(st.integers(5, 383), max_size=40)
STOPS = st.lists(st.sampled_from(["a", "he", "not", "e w", "\n", "né"]), max_size=3, unique=True)


@given(ORDINARY)
def test_pieces_join_to_the_whole_and_end_at_whole_characters(ids: list[int]) -> None:
    wording = Wording(TOKENIZER)
    shown = ""
    for index, id in enumerate(ids):
        wording.add(id)
        shown += wording.piece(index)
        whole = TOKENIZER.decode(ids[: index + 1])
        assert whole.startswith(shown)
        assert shown == whole or whole.endswith("\ufffd")
    wording.end()
    assert wording.text == TOKENIZER.decode(ids)
    assert "".join(wording.piece(i) for i in range(len(ids))) == wording.text


@given(ORDINARY, st.integers(0, 40))
def test_going_back_is_as_if_it_had_not_been_written(ids: list[int], back: int) -> None:
    back = min(back, len(ids))
    wording, fresh = Wording(TOKENIZER, ["he", "not"]), Wording(TOKENIZER, ["he", "not"])
    for id in ids:
        wording.add(id)
    wording.back(back)
    for id in ids[: len(ids) - back]:
        fresh.add(id)
    assert (wording.text, wording.ends, wording.settled) == (fresh.text, fresh.ends, fresh.settled)
    for id in ids[::-1]:
        wording.add(id)
        fresh.add(id)
    assert (wording.text, wording.ends) == (fresh.text, fresh.ends)


@given(st.text(alphabet="hewnot a\né", max_size=40), STOPS)
def test_no_stop_string_is_ever_shown_and_nothing_before_it_is_lost(text: str, stops: list[str]) -> None:
    ids = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    wording = Wording(TOKENIZER, stops)
    for index, id in enumerate(ids):
        stopped = wording.add(id)
        shown = wording.shown(wording.settled)
        assert not any(stop in shown for stop in stops)
        assert text.startswith(shown)
        if stopped:
            ids = ids[: index + 1]
            break
    wording.end()
    written = TOKENIZER.decode(ids)
    cuts = [at for stop in stops if (at := written.find(stop)) >= 0]
    expected = written[: min(cuts)] if cuts else written
    assert wording.shown(len(ids)) == expected
    assert "".join(wording.piece(i) for i in range(len(ids))) == expected


def test_special_tokens_say_nothing() -> None:
    wording = Wording(TOKENIZER)
    ids = [3, *TOKENIZER("so calm", add_special_tokens=False)["input_ids"], 4]
    for id in ids:
        wording.add(id)
    wording.end()
    assert wording.text == "so calm"
    assert wording.piece(0) == wording.piece(len(ids) - 1) == ""


@pytest.mark.parametrize("read", [None, "all"])
def test_a_stop_string_ends_a_reply_and_is_not_shown(read: str | None) -> None:
    one = engine("qwen2")
    [plain], _ = answers(one, [Request(CHAT, Sampling(max_tokens=20))])
    stop = next(
        plain.text[i : i + 3]
        for i in range(4, len(plain.text) - 3)
        if "\ufffd" not in plain.text[i : i + 3] and plain.text.find(plain.text[i : i + 3]) == i
    )
    for piece in one.generate([Request(CHAT, Sampling(max_tokens=20, stop=(stop, "never")), read=read)]):  # type: ignore[arg-type]
        assert stop not in piece.text
        reply = piece
    assert reply.text == plain.text[: plain.text.index(stop)]
    assert reply.finish_reason == "stop"  # type: ignore[union-attr]
    assert plain.tokens[: len(reply.tokens)] == reply.tokens  # type: ignore[union-attr]
    assert stop in opened("qwen2").tokenizer.decode(reply.tokens)  # type: ignore[union-attr]
    replies, _ = answers(
        one,
        [Request(CHAT, Sampling(max_tokens=20, stop=(stop,)), n=2), Request(TEXT, Sampling(max_tokens=20))],
    )
    assert [r.text for r in replies[:2]] == [reply.text] * 2
    assert len(replies[2].tokens) == 20
