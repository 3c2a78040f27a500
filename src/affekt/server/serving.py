"""uvicorn with a service: told to end, it lets running replies finish and lets nobody else in."""

from __future__ import annotations

from types import FrameType

import uvicorn

from affekt.server.app import create_app
from affekt.server.service import Service

__all__ = ["Serving"]


class Serving(uvicorn.Server):
    """A server that runs until SIGTERM or Ctrl-C; a second one ends it at once."""

    def __init__(self, service: Service, host: str = "127.0.0.1", port: int = 8000) -> None:
        """Takes a service and where to listen; port 0 is any that is free."""
        self._service = service
        super().__init__(
            uvicorn.Config(
                create_app(service),
                host=host,
                port=port,
                log_level="warning",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=max(1, round(service.settings.drain)),
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On a signal."""
        self._service.refuse()
        super().handle_exit(sig, frame)
