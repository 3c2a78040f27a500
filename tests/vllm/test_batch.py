"""Requests handed to a vLLM that is only played: two at once, one that is refused, one whose vLLM is gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from affekt.engines import Request
from affekt.engines.vllm import batch as module
from affekt.engines.vllm.batch import Batch
from affekt.engines.vllm.channel import Inbox
from affekt.engines.vllm.draft import Draft
from affekt.engines.vllm.driver import Driver
from affekt.engines.vllm.engine import VLLMEngine
from affekt.engines.vllm.order import Order
from affekt.errors import AffektError, ModelError, PromptError
from tests.engines.small import TEXT, engine


class Played(Driver):
    """A vLLM that is not there; it refuses the reply of a number."""

    def __init__(self, refuses: int | None = None) -> None:
        self.refuses, self.dropped = refuses, list[int]()
        self.broken = ""

    def pump(self) -> None:
        if self.broken:
            raise ModelError(self.broken)

    def close(self) -> None:
        self.broken = "closed"


class Reply(Draft):
    """A reply that is never over."""

    over = False  # type: ignore[assignment]

    def __init__(self, _desk: Any, driver: Any, entry: Any, choice: int, _prompt: Any) -> None:
        if choice == driver.refuses:
            raise PromptError("vLLM refuses the request")
        self.choice, self.driver = choice, driver
        self.row = SimpleNamespace(entry=entry)  # type: ignore[assignment]

    def advance(self, _out: Any) -> None:
        pass

    def drop(self) -> None:
        self.driver.dropped.append(self.choice)


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "Draft", Reply)
    yield


def test_of_two_requests_of_one_id_that_come_at_once_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Batch(engine()._core, Played)
    ready, both = module.ready, threading.Barrier(2)

    def slow(*given: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return ready(*given)

    monkeypatch.setattr(module, "ready", slow)
    for id, expected in (("x", 1), (None, 2)):
        taken: list[str] = []
        refused: list[Exception] = []

        def add(id: str | None = id, taken: Any = taken, refused: Any = refused) -> None:
            try:
                taken.append(batch.add(Request(TEXT, id=id)))
            except PromptError as error:
                refused.append(error)

        threads = [threading.Thread(target=add) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(taken)) == len(taken) == expected and len(refused) == 2 - expected


def test_a_request_one_of_whose_replies_is_refused_leaves_none_behind() -> None:
    driver = Played(refuses=2)
    batch = Batch(engine()._core, lambda: driver)
    with pytest.raises(PromptError, match="refuses"):
        batch.add(Request(TEXT, n=4, id="x"))
    assert driver.dropped == [0, 1] and not batch.busy
    batch.add(Request(TEXT, n=2, id="x"))
    assert batch.busy and driver.dropped == [0, 1]
    batch.close()
    assert driver.dropped == [0, 1, 0, 1]


def test_a_batch_in_which_nothing_runs_goes_on_with_a_vllm_that_lives() -> None:
    drivers = [Played(), Played()]
    batch = Batch(engine()._core, lambda: next(one for one in drivers if not one.broken))
    batch.add(Request(TEXT))
    drivers[0].broken = "a worker has died"
    with pytest.raises(ModelError, match="died"):
        batch.step()
    with pytest.raises(AffektError, match="closed; open another"):
        batch.add(Request(TEXT))
    drivers[0].broken = ""
    idle = Batch(engine()._core, lambda: next(one for one in drivers if not one.broken))
    drivers[0].broken = "a worker has died"
    idle.add(Request(TEXT))
    assert idle.step() == [] and idle.busy


class Silent(Inbox):
    """A channel on which nothing comes."""

    def __init__(self) -> None:
        pass


class Gone:
    """A vLLM whose core has ended while nothing ran."""

    vllm_config = SimpleNamespace(model_config=SimpleNamespace(max_model_len=99))

    def add_request(self, *_: Any) -> None:
        raise RuntimeError("EngineCore encountered an issue")


def test_a_death_that_a_new_request_finds_is_known_from_then_on() -> None:
    driver = Driver(Gone(), Silent(), "")
    with pytest.raises(ModelError, match="has died: RuntimeError: EngineCore"):
        driver.submit((1, 2), SimpleNamespace(), Order("k"))
    assert "has died" in driver.broken and not driver._runs
    with pytest.raises(ModelError, match="has died"):
        driver.submit((1, 2), SimpleNamespace(), Order("k"))


def test_threads_that_find_a_vllm_dead_open_one_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    one = VLLMEngine.__new__(VLLMEngine)
    dead = Played()
    dead.broken = "a worker has died"
    one._driver, one._opening, one._closed = dead, threading.Lock(), False
    one.model, one.vectors, one._settings = None, None, None  # type: ignore[assignment]
    one._selfcheck = False
    opened: list[Played] = []

    def open_driver(*_: Any) -> Played:
        opened.append(Played())
        threading.Event().wait(0.1)
        return opened[-1]

    monkeypatch.setattr("affekt.engines.vllm.engine.open_driver", open_driver)
    threads = [threading.Thread(target=one._alive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1 and one._alive() is opened[0]
    one.close()
    with pytest.raises(ModelError, match="closed; open another"):
        one._alive()
