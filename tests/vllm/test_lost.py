"""A reading that does not come: read again, else its own request fails; never another token's, never all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from affekt.engines import Reply, Request, Sampling
from affekt.engines.batch import Failed, answers
from affekt.engines.vllm import running
from affekt.engines.vllm.batch import Batch
from affekt.engines.vllm.driver import TRIES
from affekt.engines.vllm.order import Order
from affekt.engines.vllm.running import Job, run_all
from affekt.errors import AffektError, ReadingError
from affekt.models.prompt import encode
from tests.engines.small import TEXT, engine
from tests.vllm.played import PlayedVLLM, played_driver, token_at

Loses = Callable[[Order, int], bool]


@pytest.fixture(autouse=True)
def without_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    def sampled(_sampling: Any, *, left: int, reads: bool, **_: Any) -> Any:
        return SimpleNamespace(max_tokens=max(1, left + reads))

    monkeypatch.setattr("affekt.engines.vllm.draft.sampled", sampled)
    monkeypatch.setattr("affekt.engines.vllm.driver.WAIT", 0.2)
    monkeypatch.setattr("affekt.engines.vllm.driver.IDLE", 0.01)


def asked(source: Any, id: str, n: int = 1, read: Any = ("calm",)) -> Request:
    return Request(source, Sampling(max_tokens=6), read=read, id=id, n=n)


def answered(
    requests: Sequence[Request], loses: Loses, refuses: Sequence[int] = ()
) -> tuple[list[Reply], list[Failed], PlayedVLLM]:
    """Replies and failures of a batch on a vLLM that loses readings."""
    desk = engine()._core
    driver, vllm = played_driver(2 * len(desk.required("a test").names) + 1, loses)
    vllm.refuses = set(refuses)
    batch = Batch(desk, lambda: driver)
    for request in requests:
        batch.add(request)
    pieces: list[Any] = []
    while batch.busy:
        pieces += batch.step()
    assert not driver._runs and not vllm.has_unfinished_requests(), "nothing is left behind"
    replies = [piece for piece in pieces if isinstance(piece, Reply)]
    return replies, [piece for piece in pieces if isinstance(piece, Failed)], vllm


def right(reply: Reply) -> None:
    """Each token has the reading of its own position."""
    whole = reply.prompt_tokens + 6
    assert reply.tokens == tuple(token_at(at) for at in range(reply.prompt_tokens, whole))
    assert reply.reading is not None
    np.testing.assert_array_equal(reply.reading.projection[:, 0], range(whole))


def once(places: Sequence[int]) -> Loses:
    """Loses the first reading of some positions."""
    left = Counter(places)

    def loses(_order: Order, place: int) -> bool:
        left[place] -= 1
        return left[place] >= 0

    return loses


LENGTH = len(encode(engine().tokenizer, TEXT, True))
"""Of the prompt, in tokens."""


@pytest.mark.parametrize("lost", [(-1,), (-9,), (0,), (1, 1), (1, 2, 3, 4), (5,), (4, 5)], ids=str)
def test_a_reading_that_is_lost_is_read_again_and_stands_at_its_own_token(lost: tuple[int, ...]) -> None:
    [reply], failed, vllm = answered([asked(TEXT, "x")], once([LENGTH + at for at in lost]))
    right(reply)
    assert not failed and 1 < vllm.taken <= 1 + len(lost)


def test_the_choices_of_a_request_share_a_prompt_that_was_read_again() -> None:
    replies, failed, _ = answered([asked(TEXT, "x", n=3)], once([2]))
    assert not failed and len(replies) == 3
    for reply in replies:
        right(reply)


def test_a_request_whose_reading_never_comes_fails_alone() -> None:
    # What never comes is a position that only the long prompt has.
    requests = [asked(TEXT, "a"), asked(TEXT * 3, "b", n=2), asked(TEXT, "c")]
    replies, failed, vllm = answered(requests, lambda _order, place: place == LENGTH + 8)
    assert {reply.request for reply in replies} == {"a", "c"}
    for reply in replies:
        right(reply)
    [only] = failed
    assert only.request == "b" and isinstance(only.error, ReadingError)
    assert f"the reading of token {LENGTH + 8} did not come" in str(only.error)
    assert vllm.taken == 4 + TRIES


def test_an_order_that_a_worker_refuses_fails_its_own_request_also_where_nothing_is_read() -> None:
    for read in (("calm",), None):
        requests = [asked(TEXT, "a", read=read), asked(TEXT, "b", read=read)]
        replies, failed, vllm = answered(requests, lambda *_: False, refuses=[1])
        assert [reply.request for reply in replies] == ["a"] and vllm.taken == 2
        [only] = failed
        assert only.request == "b" and "refused the order: no such vectors" in str(only.error)


def test_the_generate_verb_answers_the_others_before_it_raises() -> None:
    desk = engine()._core
    driver, vllm = played_driver(2 * len(desk.required("a test").names) + 1, lambda *_: False)
    vllm.refuses = {0}
    seen = []
    with pytest.raises(AffektError, match="refused the order"):
        for piece in answers(Batch(desk, lambda: driver), [asked(TEXT, "a"), asked(TEXT, "b")]):
            seen += [piece.request] if isinstance(piece, Reply) else []
    assert seen == ["b"]


def test_a_prompt_that_is_only_run_is_run_again_where_a_reading_is_lost() -> None:
    lost = once([5])
    driver, vllm = played_driver(3, lost)

    def jobs(number: int) -> list[Job]:
        return [
            Job(k, tuple(range(10)), SimpleNamespace(max_tokens=1), Order(driver.key(), read=1))
            for k in range(number)
        ]

    found = {job.index: dict(run.readings) for job, run, _ in run_all(driver, jobs(3))}
    assert sorted(found) == [0, 1, 2] and vllm.taken == 4 and not driver._runs
    for readings in found.values():
        np.testing.assert_array_equal([readings[at][0] for at in range(10)], range(10))
    driver, vllm = played_driver(3, lambda _order, place: place == 9)
    with pytest.raises(ReadingError, match="token 9 did not come"):
        list(run_all(driver, jobs(1)))
    assert vllm.taken == 1 + running.TRIES and not driver._runs
