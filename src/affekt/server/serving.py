"""uvicorn with a service: told to end, it lets running replies finish and lets nobody else in."""

from __future__ import annotations

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

    def handle_exit(self, *_: object) -> None:
        """On a signal. It is not raised once more after the last reply, as in uvicorn: SIGTERM would end the
        process before its engine, which may have processes of its own, is closed."""
        self._service.refuse()
        self.force_exit = self.should_exit
        self.should_exit = True
