"""Little memory and short steps: prompts run in parts, rows are preempted and resumed, readings stay put."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from affekt.engines import Request, Sampling
from tests.engines.small import assert_same
from tests.vllm.opened import both, needs_vllm, replies_of, saved

pytestmark = needs_vllm

TEXTS = [
    f"He was {word} and nobody had told him. " * 8 for word in ("angry", "afraid", "proud", "calm", "old")
]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    tight = dict(
        max_num_batched_tokens=48, block_size=32, num_gpu_blocks_override=18, batch_size=5, context=500
    )
    with both(saved(tmp_path_factory.mktemp("llama")), **tight) as pair:
        yield pair


def requests(**more: Any) -> list[Request]:
    return [
        Request(
            text, Sampling(max_tokens=60), bias={"calm": {"dose": 0.2 * k}}, read="all", id=str(k), **more
        )
        for k, text in enumerate(TEXTS)
    ]


def test_readings_stay_with_their_tokens_through_chunks_and_preemption(engines: Any) -> None:
    (mine, _), (theirs, _) = (replies_of(one, requests()) for one in engines)
    for one, other in zip(mine, theirs, strict=True):
        assert one.tokens == other.tokens
        assert_same(one.reading, other.reading, 1e-3)
    assert sum(state["resumed"] for state in engines[0].state()) > 0, "nothing was preempted"


def test_a_request_cancelled_while_it_is_preempted_ends(engines: Any) -> None:
    one, theirs = engines
    batch = one.open_batch()
    for request in requests():
        batch.add(request)
    before = one.state()[0]["resumed"]
    pieces: list[Any] = []
    cancelled = False
    while batch.busy:
        pieces += batch.step()
        # Rows are resumed in turn; the last two in the queue are those that wait.
        if not cancelled and one.state()[0]["resumed"] > before:
            for id in ("3", "4"):
                batch.cancel(id)
            cancelled = True
    ended = {piece.request: piece for piece in pieces if hasattr(piece, "finish_reason")}
    assert cancelled and sorted(ended) == list("01234")
    others, _ = replies_of(theirs, requests())
    for id in "012":
        assert ended[id].tokens == others[int(id)].tokens
        assert_same(ended[id].reading, others[int(id)].reading, 1e-3)
