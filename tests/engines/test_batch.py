"""A running batch as a server uses it: requests come, are cancelled, and go."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
import torch

from affekt.engines import Reply, Request, Sampling, Token
from affekt.engines.transformers.batch import Batch
from affekt.errors import AffektError, PromptError
from affekt.models.prompt import encode
from tests.engines.small import (
    CHAT,
    LONG,
    PROMPTS,
    STRONG,
    TEXT,
    answers,
    engine,
    hooks,
    opened,
    plain_logits,
)
from tests.models import FAMILIES


def drain(batch: Batch) -> list[Token | Reply]:
    pieces: list[Token | Reply] = []
    while batch.busy:
        pieces += batch.step()
    return pieces


def replies_of(pieces: Sequence[Token | Reply]) -> dict[str, Reply]:
    return {piece.request: piece for piece in pieces if isinstance(piece, Reply)}


def asked(source: Any, tokens: int = 8, **more: Any) -> Request:
    return Request(source, Sampling(max_tokens=tokens), **more)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_request_joins_in_the_middle_and_changes_nothing(family: str) -> None:
    one = engine(family)
    batch = one.open_batch()
    requests = {
        "first": asked(TEXT, 14, id="first"),
        "long": asked(LONG, 9, id="long", bias=STRONG, read="all"),
        "short": asked("She", 6, id="short", bias={"calm": {"mode": "ablate"}}),
        "later": asked(CHAT, 7, id="later", read=("calm",)),
    }
    batch.add(requests["first"])
    pieces = batch.step() + batch.step() + batch.step()
    batch.add(requests["long"])
    pieces += batch.step() + batch.step()
    batch.add(requests["short"])
    batch.add(requests["later"])
    pieces += drain(batch)
    for id, reply in replies_of(pieces).items():
        assert reply.tokens == answers(one, [requests[id]])[0][0].tokens
    assert set(replies_of(pieces)) == set(requests)
    first = [piece.request for piece in pieces if isinstance(piece, Token)]
    assert first.index("long") < len(first) - 1 - first[::-1].index("first")


def test_a_cache_that_takes_no_rows_in_makes_them_wait() -> None:
    one = engine(model=opened(), cache="static")
    assert not one.joins
    batch = one.open_batch()
    batch.add(asked(TEXT, 5, id="a"))
    batch.step()
    batch.add(asked(CHAT, 5, id="b"))
    order = [piece.request for piece in drain(batch)]
    assert order == sorted(order)
    assert replies_of([]) == {}


def test_a_cancelled_request_leaves_and_the_others_stay() -> None:
    one = engine()
    batch = one.open_batch()
    for id, source in zip("abc", PROMPTS, strict=False):
        batch.add(asked(source, 10, id=id, n=2 if id == "b" else 1))
    pieces = batch.step() + batch.step()
    batch.cancel("b")
    batch.cancel("unknown")
    pieces += drain(batch)
    ended = [piece for piece in pieces if isinstance(piece, Reply) and piece.request == "b"]
    shown = [
        piece.id for piece in pieces if isinstance(piece, Token) and (piece.request, piece.choice) == ("b", 0)
    ]
    assert [reply.finish_reason for reply in ended] == ["cancelled"] * 2
    assert ended[0].tokens == tuple(shown)
    assert len(shown) == 3
    assert ended[0].text == "".join(
        piece.text
        for piece in pieces
        if isinstance(piece, Token) and piece.request == "b" and piece.choice == 0
    )
    for id, source in (("a", PROMPTS[0]), ("c", PROMPTS[2])):
        assert replies_of(pieces)[id].tokens == answers(one, [asked(source, 10)])[0][0].tokens


def test_requests_are_cancelled_while_they_wait_and_while_their_prompt_is_run() -> None:
    one = engine(batch_size=1, prefill_chunk=4)
    batch = one.open_batch()
    for id in ("running", "waiting"):
        batch.add(asked(LONG, 5, id=id))
    assert batch.step() == []
    batch.cancel("running")
    batch.cancel("waiting")
    replies = replies_of(drain(batch))
    assert {reply.finish_reason for reply in replies.values()} == {"cancelled"}
    assert set(replies) == {"running", "waiting"}
    assert replies["waiting"].tokens == ()


def test_names_are_free_again_once_replied_to() -> None:
    batch = engine().open_batch()
    assert batch.add(asked(TEXT, 2)) == "0"
    assert batch.add(asked(TEXT, 2, id="x")) == "x"
    with pytest.raises(PromptError, match="'x'"):
        batch.add(asked(TEXT, 2, id="x"))
    drain(batch)
    assert batch.add(asked(TEXT, 2, id="x")) == "x"
    assert batch.add(asked(TEXT, 2)) == "3"


def test_no_more_rows_and_cells_than_allowed(forwards: list[tuple[int, int]]) -> None:
    width = len(encode(opened().tokenizer, TEXT)) + 8
    for limits in (dict(batch_size=2), dict(cache_tokens=2 * width)):
        one = engine(**limits)  # type: ignore[arg-type]
        forwards.clear()
        replies, _ = answers(one, [asked(TEXT, 3 + i) for i in range(6)])
        assert max(rows for rows, _ in forwards) == 2
        assert [len(reply.tokens) for reply in replies] == [3, 4, 5, 6, 7, 8]


def test_prompts_come_in_no_more_than_a_forward_at_a_time(forwards: list[tuple[int, int]]) -> None:
    length = len(encode(opened().tokenizer, TEXT))
    one = engine(token_budget=2 * length + 1)
    replies, _ = answers(one, [asked(TEXT, 6) for _ in range(5)])
    assert [rows for rows, columns in forwards if columns == length] == [2, 2, 1]
    assert max(rows for rows, columns in forwards if columns == 1) == 5
    assert len({reply.tokens for reply in replies}) == 1


def test_a_closed_batch_takes_nothing_in() -> None:
    batch = engine().open_batch()
    batch.add(asked(TEXT))
    batch.step()
    batch.close()
    assert not batch.busy
    with pytest.raises(AffektError, match="closed"):
        batch.add(asked(TEXT))


def test_a_caller_who_walks_away_frees_everything() -> None:
    one = engine()
    before = plain_logits(one.model)
    stream = one.generate([asked(TEXT, 50, bias=STRONG, read="all"), asked(CHAT, 50)])
    for _ in range(5):
        next(stream)
    batch = stream.gi_frame.f_locals["batch"]  # type: ignore[attr-defined]
    assert batch.busy
    stream.close()  # type: ignore[attr-defined]
    assert not batch.busy
    assert hooks(one.model) == 0
    assert torch.equal(before, plain_logits(one.model))


def test_a_request_that_comes_while_others_are_cancelled_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = engine().open_batch()
    for id in ("kept", "gone"):
        batch.add(Request(TEXT, Sampling(max_tokens=2), id=id))
    batch.cancel("gone")

    def filled(entries: Iterable[Any] = ()) -> deque[Any]:
        kept = deque(entries)
        batch.add(Request(TEXT, Sampling(max_tokens=2), id="late"))
        return kept

    monkeypatch.setattr("affekt.engines.transformers.batch.deque", filled)
    pieces = batch.step()
    monkeypatch.undo()
    replies = replies_of([*pieces, *drain(batch)])
    assert {id: reply.finish_reason for id, reply in replies.items()} == {
        "kept": "length",
        "gone": "cancelled",
        "late": "length",
    }
