"""The vLLM engine on tiny models, held to the transformers engine on the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from affekt.engines import Directive, Request, Sampling
from affekt.engines.vllm.order import Order, Segment
from affekt.engines.vllm.sampled import once
from affekt.errors import BiasError, PromptError, UnknownConcept, VectorsError
from affekt.models.prompt import encode
from affekt.steering.bias import parse
from affekt.steering.plan import plan
from tests.engines.small import CHAT, LONG, PROMPTS, TEXT, assert_same
from tests.engines.watching import Told, at
from tests.vllm.opened import both, needs_vllm, replies_of, saved

pytestmark = needs_vllm

STRONG: dict[str, Any] = {"calm": {"dose": 0.6}, "desperate": {"dose": -0.4, "where": "reply"}}
BIASES: tuple[Any, ...] = (
    None,
    STRONG,
    {"calm": {"mode": "set", "value": 2.0}},
    {"angry": {"mode": "clamp", "high": -1.0, "where": "reply"}, "calm": {"dose": 0.3, "ramp": {"over": 4}}},
    {"calm": {"dose": 0.9, "where": {"after": "a"}}},
)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with both(saved(tmp_path_factory.mktemp("llama"))) as pair:
        yield pair


def same_replies(pair: Any, requests: list[Request]) -> list[Any]:
    """Both engines' replies, token by token and reading by reading."""
    (mine, shown), (theirs, told) = (replies_of(one, requests) for one in pair)
    for one, other in zip(mine, theirs, strict=True):
        assert (one.tokens, one.text, one.finish_reason) == (other.tokens, other.text, other.finish_reason)
        assert (one.flagged, one.replaced, one.whole) == (other.flagged, other.replaced, other.whole)
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-3)
        assert (one.reading is None) == (other.reading is None)
        if one.reading is not None:
            assert_same(one.reading, other.reading, 1e-3)
        key = (one.request, one.choice)
        for piece, twin in zip(shown[key], told[key], strict=True):
            assert (piece.text, piece.index) == (twin.text, twin.index)
            if twin.reading is not None:
                np.testing.assert_allclose(piece.reading, twin.reading, atol=1e-3, rtol=1e-3)
    return mine


def test_many_requests_with_a_bias_each_reply_and_read_as_the_transformers_engine(engines: Any) -> None:
    requests = [
        Request(source, Sampling(max_tokens=7 + 3 * k, logprobs=2 if k == 1 else None), bias=spec, read="all")
        for k, spec in enumerate(BIASES)
        for source in PROMPTS
    ]
    mine = same_replies(engines, requests)
    assert len({reply.tokens[:5] for reply in mine}) > len(PROMPTS)


def test_several_replies_stop_strings_and_least_lengths(engines: Any) -> None:
    first = same_replies(engines, [Request(TEXT, Sampling(max_tokens=16))])[0]
    stop = first.text[4:7]
    same_replies(
        engines,
        [
            Request(TEXT, Sampling(max_tokens=6), n=3, read=("calm",)),
            Request(TEXT, Sampling(max_tokens=16, stop=(stop,)), read=("calm", "angry")),
            Request(TEXT, Sampling(max_tokens=16, stop=(stop,))),
            Request(CHAT, Sampling(max_tokens=40, min_tokens=12), read="all"),
            Request(CHAT, Sampling(max_tokens=40)),
        ],
    )


def test_draws_are_repeatable_and_replies_to_one_request_differ(engines: Any) -> None:
    one, _ = engines
    request = Request(TEXT, Sampling(max_tokens=12, temperature=1.0, seed=5), n=2, read=("calm",))
    first, _ = replies_of(one, [request])
    again, _ = replies_of(one, [Request(LONG, Sampling(max_tokens=3)), request])
    assert [reply.tokens for reply in first] == [reply.tokens for reply in again[1:]]
    assert first[0].tokens != first[1].tokens


@pytest.mark.parametrize(
    "rule",
    [
        at(-1, Directive("rebias", bias=STRONG)),
        at(3, Directive("rebias", bias={"angry": {"dose": 0.8}})),
        at(3, Directive("rebias", bias={})),
        at(4, Directive("rewind", tokens=2, bias={"angry": {"dose": 0.8}})),
        at(5, Directive("stop", tokens=2, flag=True)),
        at(2, Directive("replace", text="No.")),
        at(-1, Directive("replace", text="No.")),
        at(1, Directive("flag")),
        lambda _row, calls: Directive("rebias", bias={"calm": {"dose": 0.1 * calls}}) if calls > 1 else None,
    ],
)
def test_a_guard_steers_stops_and_replaces_as_in_the_transformers_engine(engines: Any, rule: Any) -> None:
    seen = []
    for one in engines:
        told = Told(rule, rewind=3)
        requests = [
            Request(CHAT, Sampling(max_tokens=9), bias={"calm": {"dose": 0.2}}, guard=told, read="all"),
            Request(LONG, Sampling(max_tokens=9)),
        ]
        replies, _ = replies_of(one, requests)
        seen.append((told.made[0], replies))
    (mine, own), (theirs, other) = seen
    assert [reply.tokens for reply in own] == [reply.tokens for reply in other]
    assert [(r.finish_reason, r.flagged, r.text) for r in own] == [
        (r.finish_reason, r.flagged, r.text) for r in other
    ]
    assert [row.tokens for row in mine.rows] == [row.tokens for row in theirs.rows]
    for one, twin in zip(mine.rows, theirs.rows, strict=True):
        np.testing.assert_allclose(one.z, twin.z, atol=1e-3, rtol=1e-3)
    if own[0].reading is not None and other[0].reading is not None:
        assert_same(own[0].reading, other[0].reading, 1e-3)


def test_the_other_verbs_agree(engines: Any) -> None:
    mine, theirs = engines
    for spec in BIASES:
        for one, other in zip(mine.read(PROMPTS, bias=spec), theirs.read(PROMPTS, bias=spec), strict=True):
            assert_same(one, other, 1e-3)
        prompts, said = [TEXT, CHAT, TEXT], [" and she felt", "He was", [40, 41, 42]]
        for one, other in zip(
            mine.score(prompts, said, spec), theirs.score(prompts, said, spec), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-3)
    np.testing.assert_allclose(
        mine.next_token(PROMPTS, STRONG), theirs.next_token(PROMPTS, STRONG), atol=1e-3
    )
    few = mine.next_token([TEXT], ids=[7, 5, 7])
    np.testing.assert_allclose(few, theirs.next_token([TEXT], ids=[7, 5, 7]), atol=1e-3)


@pytest.mark.parametrize("mean", [True, False])
def test_collected_residuals_agree(engines: Any, mean: bool) -> None:
    def pick(encoded: Any) -> list[int]:
        return [] if len(encoded) < 4 else [2, len(encoded) - 2, 1, 2]

    got = [{each.index: each for each in one.collect(PROMPTS, [0, 3, 1], pick, mean)} for one in engines]
    for index in range(len(PROMPTS)):
        one, other = (found[index] for found in got)
        assert one.tokens == other.tokens and one.values.shape == other.values.shape
        np.testing.assert_allclose(one.values, other.values, atol=1e-3, rtol=1e-3)


def test_the_prefix_cache_is_keyed_by_the_bias(engines: Any) -> None:
    one, _ = engines
    text = encode(one.model.tokenizer, "The river was calm in the morning. " * 30)

    def cached(spec: Any) -> int:
        segments = () if spec is None else (Segment(0, plan(parse(spec, one.vectors), text)),)
        driver = one._driver
        run = driver.submit(text.ids, once(fresh=False), Order(driver.key(), segments=segments))
        while not run.finished:
            driver.pump()
        return int(run.outputs[-1].num_cached_tokens)

    assert len(text) > 2 * 128
    for spec in BIASES[:3]:
        assert cached(spec) == 0, spec
        assert cached(spec) > 0, spec


def test_wrong_requests_are_refused_and_leave_the_engine_as_it_was(engines: Any) -> None:
    one, _ = engines
    for request, error in (
        (Request("", Sampling()), PromptError),
        (Request("word " * 2000, Sampling()), PromptError),
        (Request(TEXT, bias={"clam": {"dose": 1.0}}), UnknownConcept),
        (Request(TEXT, bias={"calm": {"dose": 1.0, "layers": [0]}}), BiasError),
        (Request(TEXT, read="all", layer=0), VectorsError),
    ):
        with pytest.raises(error):
            list(one.generate([Request(TEXT, Sampling(max_tokens=2)), request]))
    for id in (-1, 10**9):
        with pytest.raises(PromptError, match="is no token"):
            one.score([TEXT], [[7, id]])
        with pytest.raises(PromptError, match="is no token"):
            one.next_token([TEXT], ids=[id])
    same_replies(engines, [Request(TEXT, Sampling(max_tokens=3))])


def test_a_cancelled_request_ends_and_the_others_go_on(engines: Any) -> None:
    one, theirs = engines
    batch = one.open_batch()
    batch.add(Request(TEXT, Sampling(max_tokens=400), id="long", read="all"))
    batch.add(Request(CHAT, Sampling(max_tokens=10), id="short"))
    pieces = [piece for _ in range(4) for piece in batch.step()]
    batch.cancel("long")
    while batch.busy:
        pieces += batch.step()
    ended = {piece.request: piece for piece in pieces if hasattr(piece, "finish_reason")}
    assert ended["long"].finish_reason == "cancelled" and len(ended["long"].tokens) < 400
    other, _ = replies_of(theirs, [Request(CHAT, Sampling(max_tokens=10))])
    assert ended["short"].tokens == other[0].tokens
