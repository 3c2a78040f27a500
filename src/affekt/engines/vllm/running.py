"""Prompts that are only run, many at a time: for residuals, readings and log-probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from affekt.engines.vllm.driver import TRIES, Driver, Run
from affekt.engines.vllm.order import Order
from affekt.errors import ReadingError

__all__ = ["Job", "run_all"]

WINDOW = 128
"""Prompts handed to vLLM at a time; it batches them itself."""


@dataclass(frozen=True, eq=False)
class Job:
    """One prompt."""

    index: int
    """Its place in the call."""
    ids: tuple[int, ...]
    """Its tokens."""
    params: Any
    """vLLM's `SamplingParams`."""
    order: Order
    """What is done with it."""


def run_all(driver: Driver, jobs: Iterable[Job]) -> Iterator[tuple[Job, Run, Any]]:
    """Runs prompts, in any order; each with what vLLM said of it at its end, once all that was ordered of it
    is there. What is lost is run again. Closing the iterator ends the rest.

    Raises:
        ReadingError: something is lost, also after it was run again.
        AffektError: a worker has refused an order.
        ModelError: the engine or one of its workers has died.
    """
    waiting = iter(jobs)
    live: dict[str, tuple[Job, Run]] = {}
    tries: dict[int, int] = {}

    def begin(job: Job) -> None:
        live[job.order.key] = (job, driver.submit(job.ids, job.params, job.order))

    try:
        while True:
            for job in islice(waiting, WINDOW - len(live)):
                begin(job)
            if not live:
                return
            driver.pump()
            for key in [key for key, (_, run) in live.items() if run.finished]:
                job, run = live[key]
                try:
                    if not _whole(driver, job, run):
                        continue
                except ReadingError:
                    tries[job.index] = tries.get(job.index, 0) + 1
                    if tries[job.index] > TRIES:
                        raise
                    driver.forget(live.pop(key)[1])
                    begin(replace(job, order=replace(job.order, key=driver.key())))
                    continue
                del live[key]
                driver.forget(run)
                yield job, run, run.outputs[-1]
    finally:
        driver.abort([run for _, run in live.values()])


def _whole(driver: Driver, job: Job, run: Run) -> bool:
    """Whether all that was ordered of a row that is over is there."""
    order = job.order
    places = () if order.read is None else range(order.first, len(job.ids))
    return driver.has(run, places, () if order.collect is None else order.collect.layers)
