"""What a step has read, sent when the device has it: the step does not wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.engines.vllm.channel import BOUND, Outbox

__all__ = ["Posting"]


@runtime_checkable
class Mark(Protocol):
    """A place in what the device has been told to do."""

    def synchronize(self) -> None:
        """Waits until the device has come so far."""


class Posting:
    """A worker's messages in order. On a CPU they are sent at once; on a device that works behind, a thread
    waits for each one's copy and sends it."""

    def __init__(self, outbox: Outbox, mark: Callable[[], Mark] | None) -> None:
        """Takes the worker's end of the channel, and what marks a place; None where results are there at
        once."""
        self._outbox, self._mark = outbox, mark
        self._waiting: queue.Queue[tuple[dict[str, Any], Tensor | None, Mark]] = queue.Queue(BOUND)
        if mark is not None:
            threading.Thread(target=self._run, name="affekt-posting", daemon=True).start()

    @classmethod
    def on(cls, outbox: Outbox, device: torch.device) -> Posting:
        """For what is read on a device."""
        return cls(outbox, _recorded if device.type == "cuda" else None)

    def send(self, header: Mapping[str, Any], values: Float[Tensor, "..."] | None = None) -> None:
        """Sends a message, or drops it where the channel or the device does not keep up."""
        # The copy goes to memory that the device writes by itself; it is done when the mark is reached.
        host = None if values is None else values.float().to("cpu", non_blocking=self._mark is not None)
        if self._mark is None:
            self._outbox.send(header, None if host is None else host.numpy())
            return
        try:
            self._waiting.put_nowait((dict(header), host, self._mark()))
        except queue.Full:
            self._outbox.lost += 1

    def _run(self) -> None:
        while True:
            header, host, mark = self._waiting.get()
            mark.synchronize()
            self._outbox.send(header, None if host is None else host.numpy())


def _recorded() -> Mark:
    kind: Any = torch.cuda.Event
    event = kind()
    event.record()
    mark: Mark = event
    return mark
