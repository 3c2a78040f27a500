from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from affekt.engines import Directive, Reply, Request, Sampling, Token, Watch, Watcher
from affekt.errors import PolicyError
from affekt.models.prompt import Encoded
from tests.engines.small import (
    CHAT,
    LONG,
    STRONG,
    TEXT,
    answers,
    as_bias,
    assert_greedy,
    engine,
    expected_z,
    hooks,
    opened,
    plain_logits,
    prompt_of,
)
from tests.engines.watching import Seen, Told, at
from tests.models import FAMILIES

CALM = {"calm": {"dose": 1.2}}


def watched(source: Any, guard: Watcher | None, tokens: int = 8, **more: Any) -> Request:
    return Request(source, Sampling(max_tokens=tokens), guard=guard, **more)


def plain_reply(family: str, source: Any, tokens: int = 8) -> Reply:
    return answers(engine(family), [watched(source, None, tokens)])[0][0]


def test_the_protocols_are_met() -> None:
    assert isinstance(Told(), Watcher)
    assert isinstance(Told().watch("0", 0, ()), Watch)


@pytest.mark.parametrize("family", ["llama", "gemma2", "qwen3_next"])
def test_a_watch_sees_every_token_before_it_is_shown(family: str) -> None:
    one = engine(family)
    guard = Told()
    shown: list[tuple[str, int]] = []
    for piece in one.generate([watched(LONG, guard), watched(TEXT, None)]):
        if isinstance(piece, Token) and piece.request == "0":
            assert guard.made[0].tokens[piece.index].id == piece.id
        shown.append((piece.request, getattr(piece, "index", -1)))
        if isinstance(piece, Reply) and piece.request == "0":
            reply = piece
    [seen] = guard.made
    assert one.vectors is not None
    assert seen.concepts == one.vectors.names
    z = expected_z(one.model, reply.whole, None, prompt_of(reply), one.vectors)
    np.testing.assert_allclose(
        np.stack([row.z for row in seen.rows]), z[reply.prompt_tokens - 1 :], atol=1e-3, rtol=1e-3
    )
    assert [row.role for row in seen.rows] == ["generation", *["assistant"] * 8]
    assert reply.events == (8,)
    assert reply.reading is None
    assert reply.tokens == plain_reply(family, LONG).tokens
    assert not reply.flagged


@pytest.mark.parametrize("call", [0, 3, 7])
def test_stop_shows_nothing_at_or_after_the_token_that_tripped(call: int) -> None:
    plain = plain_reply("llama", CHAT)
    guard = Told(at(call, Directive("stop")))
    [reply, other], tokens = answers(engine(), [watched(CHAT, guard), watched(TEXT, None)])
    assert [token.id for token in tokens["0", 0]] == list(plain.tokens[:call])
    assert (reply.finish_reason, reply.tokens) == ("guard", plain.tokens[:call])
    assert len(guard.made[0].tokens) == call + 1
    assert other.tokens == plain_reply("llama", TEXT).tokens


def test_stop_at_the_prompts_end_lets_no_token_be_chosen() -> None:
    one = engine()
    sampling = Sampling(max_tokens=5, temperature=1.0, seed=1)
    guard = Told(at(-1, Directive("stop", flag=True)))
    [reply], tokens = answers(one, [Request(CHAT, sampling, guard=guard, read="all")])
    assert (reply.text, reply.tokens, reply.finish_reason, reply.flagged) == ("", (), "guard", True)
    assert tokens["0", 0] == []
    assert reply.reading is not None and len(reply.reading) == reply.prompt_tokens


def test_held_tokens_before_a_trip_can_be_dropped_too() -> None:
    plain = plain_reply("llama", CHAT)
    order: list[int] = []
    guard = Told(at(5, Directive("stop", tokens=3)), hold=2)
    for piece in engine().generate([watched(CHAT, guard)]):
        if isinstance(piece, Token):
            order.append(len(guard.made[0].tokens) - 1 - piece.index)
            assert piece.id == plain.tokens[piece.index]
        else:
            assert piece.tokens == plain.tokens[:3]
    assert order[:2] == [2, 2]
    # Without that delay the same directive can only drop what is not yet shown.
    [reply], _ = answers(engine(), [watched(CHAT, Told(at(5, Directive("stop", tokens=3))))])
    assert reply.tokens == plain.tokens[:5]


def test_a_replaced_reply_says_the_guards_text() -> None:
    plain = plain_reply("llama", CHAT)
    for call, hold in ((-1, 0), (4, 0), (4, 2), (7, 0)):
        guard = Told(at(call, Directive("replace", text="I would rather not.")), hold=hold)
        [reply], tokens = answers(engine(), [watched(CHAT, guard)])
        assert (reply.text, reply.finish_reason, reply.replaced) == ("I would rather not.", "guard", True)
        assert (
            tuple(token.id for token in tokens["0", 0]) == plain.tokens[: max(0, call - hold)] == reply.tokens
        )


def test_a_flag_marks_the_reply_and_changes_nothing() -> None:
    [reply], _ = answers(engine(), [watched(CHAT, Told(at(2, Directive("flag"))))])
    assert reply.flagged
    assert reply.tokens == plain_reply("llama", CHAT).tokens


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("call", [-1, 3])
def test_a_new_bias_holds_from_the_next_forward_on(family: str, call: int) -> None:
    one = engine(family)
    guard = Told(at(call, Directive("rebias", bias=CALM)))
    [reply, other], _ = answers(one, [watched(LONG, guard, 12, read="all"), watched(TEXT, None, 12)])
    assert reply.tokens[: call + 2] == plain_reply(family, LONG, 12).tokens[: call + 2]
    assert other.tokens == plain_reply(family, TEXT, 12).tokens
    # The same as a bias on all tokens whose forward runs later, which a program for a longer prompt says.
    steered = reply.prompt_tokens + call + 1
    whole = reply.whole
    before = Encoded(whole.ids[:steered], whole.spans[:steered], whole.roles[:steered], whole.text)
    spec = {"calm": {"dose": 1.2, "where": "reply"}}
    vectors = one.vectors
    assert vectors is not None
    z = expected_z(one.model, whole, as_bias(spec, vectors), before, vectors)
    assert reply.reading is not None
    np.testing.assert_allclose(reply.reading.z, z, atol=2e-3, rtol=2e-3)


def continued(one: Any, kept: tuple[Encoded, int], spec: Any, tokens: int) -> tuple[int, ...]:
    """What greedy choice writes, whole forward by whole forward, when a bias holds from a position on."""
    from affekt.steering.bias import parse

    whole, first = kept
    ids = list(whole.ids)
    for _ in range(tokens):
        grown = Encoded(tuple(ids), ((0, 0),) * len(ids), ("assistant",) * len(ids), "")
        before = Encoded(grown.ids[:first], grown.spans[:first], grown.roles[:first], "")
        from tests.engines.small import outputs

        _, logits = outputs(one.model, grown, parse(spec, one.vectors), before, one.vectors)
        ids.append(int(logits[-1].argmax()))
    return tuple(ids[len(whole.ids) :])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("call", "drop"), [(-1, 1), (0, 1), (4, 1), (4, 3), (4, 5), (9, 2)])
def test_a_rewound_row_goes_on_from_the_token_before_under_the_new_bias(
    family: str, call: int, drop: int
) -> None:
    one = engine(family)
    plain = plain_reply(family, LONG, 10)
    guard = Told(at(call, Directive("rewind", bias=CALM, tokens=drop)), rewind=drop)
    other = Request(TEXT, Sampling(max_tokens=13), bias=STRONG)
    [reply, beside], tokens = answers(one, [watched(LONG, guard, 10), other])
    kept = max(0, call + 1 - drop)
    assert reply.tokens[:kept] == plain.tokens[:kept]
    assert len(reply.tokens) == 10
    # The token kept last runs again under the bias; all before it stay as they were.
    first = reply.prompt_tokens + kept - 1
    whole = reply.whole
    prefix = Encoded(whole.ids[: first + 1], whole.spans[: first + 1], whole.roles[: first + 1], whole.text)
    spec = {"calm": {"dose": 1.2, "where": "reply"}}
    assert continued(one, (prefix, first), spec, 10 - kept) == reply.tokens[kept:]
    assert beside.tokens == answers(one, [other])[0][0].tokens
    assert [token.id for token in tokens["0", 0]] == list(reply.tokens)
    assert [row.tokens for row in guard.made[0].rows[1:]].count(reply.tokens[: kept + 1]) >= 1


@pytest.mark.parametrize("family", ["llama", "qwen3_next", "lfm2"])
def test_rows_can_go_back_again_and_again(family: str) -> None:
    one = engine(family)
    sampling = Sampling(max_tokens=9, temperature=1.0, seed=4)
    drops = iter([1, 3, 2, 3, 1, 2])

    def rule(row: Any, calls: int) -> Directive | None:
        if len(row.tokens) >= 4 and (drop := next(drops, None)):
            return Directive("rewind", tokens=drop)
        return None

    guard = Told(rule, rewind=3)
    [reply, _], _ = answers(one, [Request(LONG, sampling, guard=guard, read="all"), watched(TEXT, None, 20)])
    assert len(reply.tokens) == 9
    assert len(guard.made[0].tokens) == 9 + 12
    # Without a change of bias, what is left is what one forward over it says.
    assert one.vectors is not None and reply.reading is not None
    z = expected_z(one.model, reply.whole, None, prompt_of(reply), one.vectors)
    np.testing.assert_allclose(reply.reading.z, z, atol=1e-3, rtol=1e-3)
    greedy = Told(lambda _row, calls: Directive("rewind", tokens=2) if calls in (4, 6, 8) else None, rewind=2)
    [back], _ = answers(one, [watched(CHAT, greedy, 9)])
    assert_greedy(one, back, None)


def test_every_choice_has_its_own_watch() -> None:
    guard = Told(lambda row, calls: Directive("stop") if row.choice == 1 and calls == 2 else None)
    replies, _ = answers(engine(), [watched(CHAT, guard, 6, n=3)])
    assert [reply.finish_reason for reply in replies] == ["length", "guard", "length"]
    assert [len(seen.tokens) for seen in guard.made] == [6, 3, 6]


def test_the_last_token_can_be_taken_back() -> None:
    guard = Told(at(5, Directive("rewind", bias=CALM)), rewind=1)
    [reply], _ = answers(engine(), [watched(CHAT, guard, 6)])
    assert len(reply.tokens) == 6
    assert reply.finish_reason == "length"
    assert len(guard.made[0].tokens) == 7


def test_a_cache_that_cannot_go_back_says_so() -> None:
    one = engine(model=opened(), cache="static")
    with pytest.raises(PolicyError, match="static cache"):
        one.generate([watched(CHAT, Told(rewind=1))])
    assert answers(one, [watched(CHAT, Told(at(2, Directive("stop"))))])[0][0].finish_reason == "guard"


def test_wrong_directives_are_refused() -> None:
    with pytest.raises(PolicyError, match="needs a bias"):
        Directive("rebias")
    with pytest.raises(PolicyError, match="at least 1"):
        Directive("rewind", tokens=0)


def test_a_watch_that_fails_leaves_nothing_behind() -> None:
    one = engine()
    before = plain_logits(one.model)

    def fails(row: Any, calls: int) -> Directive | None:
        if calls == 2:
            raise RuntimeError("the guard fell asleep")
        return None

    with pytest.raises(RuntimeError, match="asleep"):
        list(one.generate([watched(CHAT, Told(fails), bias=STRONG), watched(TEXT, None)]))
    assert hooks(one.model) == 0
    assert torch.equal(before, plain_logits(one.model))
    assert isinstance(Told(fails).watch("0", 0, ()), Seen)
