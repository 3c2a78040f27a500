"""From the workers to the front end: readings keyed by row and position, over a bounded socket."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from affekt.errors import ModelError

__all__ = ["Inbox", "Outbox"]

BOUND = 20_000
"""Most messages that wait at either end; a worker that cannot send drops its message and counts it."""


class Outbox:
    """A worker's end. It never waits."""

    def __init__(self, address: str) -> None:
        import zmq

        self._zmq = zmq
        self._socket: Any = zmq.Context.instance().socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, BOUND)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(address)
        self.lost = 0
        """Messages that were dropped."""

    def send(self, header: Mapping[str, Any], values: Float[np.ndarray, "..."] | None = None) -> None:
        """Sends a message, or drops it where the front end does not keep up."""
        told = {**header, "shape": None if values is None else list(values.shape), "lost": self.lost}
        body = b"" if values is None else np.ascontiguousarray(values, dtype=np.float32).data
        try:
            self._socket.send_multipart([json.dumps(told).encode(), body], self._zmq.NOBLOCK)
        except self._zmq.Again:
            self.lost += 1


class Inbox:
    """The front end's end, at an address that workers connect to."""

    def __init__(self, address: str | None = None) -> None:
        """Opens a socket.

        Args:
            address: such as `tcp://10.0.0.1:5777` where workers run on other machines, or `ipc://` and a
                socket file, whose folder is made if need be; by default a socket file that only this
                machine's processes of this user reach.

        Raises:
            ModelError: there is nothing to listen at.
        """
        import zmq

        self._zmq = zmq
        self._folder = None if address else Path(tempfile.mkdtemp(prefix="affekt-"))
        self.address = address or f"ipc://{self._folder}/readings"
        """Where workers connect."""
        self._socket: Any = zmq.Context.instance().socket(zmq.PULL)
        self._socket.setsockopt(zmq.RCVHWM, BOUND)
        try:
            if self.address.startswith("ipc:///"):
                file = Path(self.address.removeprefix("ipc://"))
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._socket.bind(self.address)
        except (OSError, zmq.ZMQError) as error:
            self._socket.close(0)
            raise ModelError(
                f"nothing can listen at the channel {self.address!r}: {error}; give ipc:// and a file in a "
                "folder that may be written to, or tcp:// and a free port of this machine"
            ) from error
        self.lost = 0
        """Messages that workers say they dropped."""

    def receive(self, seconds: float = 0.0) -> Sequence[tuple[dict[str, Any], np.ndarray | None]]:
        """All messages that are there; waits for the first one so long."""
        found: list[tuple[dict[str, Any], np.ndarray | None]] = []
        until = time.monotonic() + seconds
        while True:
            left = 0 if found else max(0, int(1000 * (until - time.monotonic())))
            if not self._socket.poll(left):
                return found
            head, body = self._socket.recv_multipart()
            told = json.loads(head)
            shape = told["shape"]
            values = None if shape is None else np.frombuffer(body, dtype=np.float32).reshape(shape)
            self.lost = max(self.lost, told["lost"])
            found.append((told, values))

    def close(self) -> None:
        """Frees the socket."""
        self._socket.close(0)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
