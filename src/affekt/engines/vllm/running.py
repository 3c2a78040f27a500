"""Prompts that are only run, many at a time: for residuals, readings and log-probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from affekt.engines.vllm.driver import Driver, Run
from affekt.engines.vllm.order import Order

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
    """Runs prompts, in any order; each with what vLLM said of it at its end. Closing the iterator ends the
    rest."""
    waiting = iter(jobs)
    live: dict[str, tuple[Job, Run]] = {}
    try:
        while True:
            for job in islice(waiting, WINDOW - len(live)):
                live[job.order.key] = (job, driver.submit(job.ids, job.params, job.order))
            if not live:
                return
            driver.pump()
            for key in [key for key, (_, run) in live.items() if run.finished]:
                job, run = live.pop(key)
                yield job, run, run.outputs[-1]
                driver.forget(run)
    finally:
        driver.abort([run for _, run in live.values()])
