"""Nothing is left on the network and nothing finished is lost, whatever fails, whoever else is at work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from affekt.engines import Reply, Request, Sampling, TransformersEngine
from affekt.engines.transformers import row as row_module
from affekt.models.residual import capture
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


class Broken(Exception):
    pass


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Makes the given block raise at its n-th run."""

    def fail(one: TransformersEngine, error: BaseException, runs: int, block: int = 2) -> None:
        whole, count = one.model.layers[block].forward, iter(range(10_000))

        def forward(*args: Any, **kwargs: Any) -> Any:
            if next(count) == runs:
                raise error
            return whole(*args, **kwargs)

        monkeypatch.setattr(one.model.layers[block], "forward", forward)

    yield fail
    monkeypatch.undo()


VERBS: dict[str, Callable[[TransformersEngine], Any]] = {
    "collect": lambda one: list(one.collect([TEXT], [1, 3], lambda _encoded: [1])),
    "read": lambda one: one.read([TEXT, CHAT], bias=STRONG, layer=2),
    "score": lambda one: one.score([TEXT, TEXT], [" so", " not so"], bias=STRONG),
    "next_token": lambda one: one.next_token([TEXT, CHAT], bias=STRONG),
    "generate": lambda one: list(one.generate([Request(TEXT, bias=STRONG, read="all"), Request(CHAT)])),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("error", [Broken(), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_failed_forward_leaves_the_network_as_it_was(
    verb: str, error: BaseException, failing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = engine()
    before, expected = plain_logits(one.model), answers(one, [Request(TEXT)])[0][0]
    failing(one, error, 3 if verb == "generate" else 0)
    with pytest.raises(type(error)):
        VERBS[verb](one)
    assert hooks(one.model) == 0
    monkeypatch.undo()
    assert torch.equal(before, plain_logits(one.model))
    assert answers(one, [Request(TEXT)])[0][0] == expected
    VERBS[verb](one)
    assert hooks(one.model) == 0


def test_an_interrupt_keeps_every_finished_reply(failing: Any) -> None:
    one = engine(batch_size=4)
    requests = [Request(PROMPTS[i % 4], Sampling(max_tokens=1 + i % 5)) for i in range(40)]
    whole = {reply.request: reply.tokens for reply in answers(one, requests)[0]}
    failing(one, KeyboardInterrupt(), 12)
    kept: dict[str, tuple[int, ...]] = {}
    with pytest.raises(KeyboardInterrupt):
        for piece in one.generate(requests):
            if isinstance(piece, Reply):
                kept[piece.request] = piece.tokens
    assert 5 < len(kept) < 40
    assert kept == {id: whole[id] for id in kept}
    assert hooks(one.model) == 0


def test_a_reply_finished_in_the_very_step_that_is_interrupted_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = engine()
    release = row_module.Row.release

    def interrupted(row: row_module.Row) -> Any:
        if row.entry.id == "1" and len(row.ids) == 3:
            raise KeyboardInterrupt
        return release(row)

    monkeypatch.setattr(row_module.Row, "release", interrupted)
    replies = []
    with pytest.raises(KeyboardInterrupt):
        for piece in one.generate([Request(TEXT, Sampling(max_tokens=3)), Request(CHAT)]):
            if isinstance(piece, Reply):
                replies.append(piece)
    assert [reply.request for reply in replies] == ["0"]
    assert len(replies[0].tokens) == 3


def test_threads_share_an_engine() -> None:
    one = engine("qwen2")
    requests = [
        Request(source, Sampling(max_tokens=6 + i), bias=spec, read="all")
        for i, (source, spec) in enumerate(
            zip(PROMPTS, (None, STRONG, {"calm": {"mode": "ablate"}}, STRONG), strict=True)
        )
    ]
    alone = [answers(one, [request])[0][0] for request in requests]
    readings, scores = one.read([LONG]), one.score([TEXT], [" so it is"], bias=STRONG)
    collected = [c.values for c in one.collect([LONG], [1], lambda _encoded: [3, 4])]
    wrong: list[str] = []

    def check(name: str, same: bool) -> None:
        if not same:
            wrong.append(name)

    def write(i: int) -> None:
        for _ in range(3):
            reply = answers(one, [requests[i]])[0][0]
            check(f"reply {i}", reply.tokens == alone[i].tokens)
            assert reply.reading is not None and alone[i].reading is not None
            check(f"reading {i}", np.allclose(reply.reading.z, alone[i].reading.z, atol=1e-3))  # type: ignore[union-attr]

    def read() -> None:
        for _ in range(6):
            check("read", np.allclose(one.read([LONG])[0].z, readings[0].z, atol=1e-4))
            check(
                "score", np.allclose(one.score([TEXT], [" so it is"], bias=STRONG)[0], scores[0], atol=1e-4)
            )
            [again] = one.collect([LONG], [1], lambda _encoded: [3, 4])
            check("collect", bool(torch.allclose(again.values, collected[0], atol=1e-4)))

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)] + [threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert hooks(one.model) == 0


def test_between_two_steps_the_network_is_the_callers() -> None:
    one = engine()
    before = plain_logits(one.model)
    stream = one.generate([Request(TEXT, Sampling(max_tokens=6), bias=STRONG, read="all")])
    for _ in stream:
        assert hooks(one.model) == 0
        assert torch.equal(before, plain_logits(one.model))
        assert not torch.is_inference_mode_enabled()
    assert torch.equal(before, plain_logits(opened()))


def test_hooks_of_ones_own_around_a_verb_cannot_lock_out_another_thread() -> None:
    one = engine()
    reader_in, step_in, done = threading.Event(), threading.Event(), []

    def read() -> None:
        with capture(one.model, [0], lambda _layer, _residual: None):
            reader_in.set()
            step_in.wait(1.0)
            done.append(len(one.read([TEXT])))

    def step() -> None:
        reader_in.wait()
        with one._core.turn():
            step_in.set()
            done.append(len(one.read([TEXT])))

    threads = [threading.Thread(target=target, daemon=True) for target in (read, step)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert done == [1, 1]
