"""Studies side by side: processes that each hold the model and have a share of the threads."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.queues import SimpleQueue
from typing import TypeAlias

import torch

from affekt.errors import AffektError
from affekt.models.machine import choose_threads
from affekt.progress import Progress
from affekt.studies.lab import Lab
from affekt.studies.result import Result

__all__ = ["Crew", "Task"]

Task: TypeAlias = Callable[[Lab], Result]
"""One study to be run and kept; it is pickled."""

Told: TypeAlias = "SimpleQueue[tuple[str, int, int] | None]"

_lab: Lab | None = None
"""What this process works with, where it is one of a crew's."""


@dataclass(frozen=True)
class Crew:
    """Processes that run studies side by side."""

    open: Callable[[], Lab]
    """Opens the model and its vectors in each of them; it is pickled."""
    workers: int
    """How many processes there are."""

    def run(self, tasks: Sequence[Task], progress: Progress | None = None) -> Iterator[Result]:
        """Each result as it is finished; tasks are begun in their order.

        However this ends, the processes end with it; they also end with the process that made them.

        Raises:
            AffektError: what a study raises, or that a process died.
        """
        spawn = multiprocessing.get_context("spawn")
        workers = min(self.workers, len(tasks))
        threads = max(1, choose_threads() // max(1, workers))
        others = set(multiprocessing.active_children())
        told: Told = spawn.SimpleQueue()
        with (
            _passing_on(told, progress),
            ProcessPoolExecutor(workers, spawn, _begin, (self.open, threads, told)) as pool,
        ):
            try:
                begun = [pool.submit(_do, task) for task in tasks]
                # A pool watches over the process of a submission from the next one on: without one more, the
                # death of the last would go unseen.
                pool.submit(int)
                for done in as_completed(begun):
                    yield done.result()
            except BaseException as error:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in set(multiprocessing.active_children()) - others:
                    process.terminate()
                if isinstance(error, BrokenProcessPool):
                    raise AffektError(
                        "a process that ran a study died, most often for want of memory; what was finished "
                        "is kept, and the same command with --workers 1 goes on in one process"
                    ) from error
                raise


@contextmanager
def _passing_on(told: Told, progress: Progress | None) -> Iterator[None]:
    """Passes on what the processes tell."""

    def listen() -> None:
        while (heard := told.get()) is not None:
            if progress is not None:
                progress(*heard)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield
    finally:
        told.put(None)
        listener.join(timeout=1)


def _begin(open_lab: Callable[[], Lab], threads: int, told: Told) -> None:
    """A process of the crew begins: Ctrl-C is its maker's to answer, and it does not outlive its maker."""
    global _lab
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_maker, daemon=True).start()
    torch.set_num_threads(threads)
    _lab = replace(open_lab(), progress=lambda *heard: told.put(heard))


def _end_with_maker() -> None:
    maker = multiprocessing.parent_process()
    if maker is not None:
        maker.join()
        os._exit(1)


def _do(task: Task) -> Result:
    if _lab is None:
        raise AffektError("this process has no model open; Crew.run opens it")
    return task(_lab)
