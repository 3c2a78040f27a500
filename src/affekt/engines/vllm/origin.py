"""Workers end with the process that opened vLLM, however it ends; the rest of vLLM ends with its workers."""

from __future__ import annotations

import os
import platform
import select
import threading
from collections.abc import Callable

__all__ = ["end_with", "origin"]


def origin() -> str:
    """This process, as workers are told of it: `machine:pid`."""
    return f"{platform.node()}:{os.getpid()}"


def end_with(told: str, end: Callable[[], None] = lambda: os._exit(1)) -> None:
    """Has this process end as soon as another one of this machine has, or at once if it has already.

    vLLM ends its workers when it is closed. A process that is killed cannot close it, and one that is killed
    while vLLM opens has nothing yet that would notice.

    Args:
        told: what `origin` gave there; nothing is done for the process itself and on another machine.
        end: what ends this process.
    """
    machine, _, pid = told.rpartition(":")
    if machine != platform.node() or int(pid) == os.getpid() or not hasattr(os, "pidfd_open"):
        return
    try:
        watched = os.pidfd_open(int(pid))
    except ProcessLookupError:
        end()
        return

    def wait() -> None:
        select.select([watched], [], [])
        end()

    threading.Thread(target=wait, name="affekt-origin", daemon=True).start()
