"""Counts for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from affekt.engines.engine import Reply
from affekt.server.runner import Runner

__all__ = ["Meters"]

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
REQUESTS = "(of requests)"
Z = (-4, -3, -2, -1, 0, 1, 2, 3, 4, 6)


class Meters:
    """A registry of its own, so that two servers in one process do not mix."""

    def __init__(self, runner: Runner) -> None:
        self._registry = own = CollectorRegistry()
        self.requests = Counter(
            "affekt_requests", "Requests, by route and status", ["route", "status"], registry=own
        )
        self.tokens = Counter("affekt_tokens", "Tokens, of prompts and replies", ["kind"], registry=own)
        self.first = Histogram(
            "affekt_first_token_seconds", "From request to first token", buckets=SECONDS, registry=own
        )
        self.trips = Counter("affekt_trips", "Trips of monitors", ["monitor", "action"], registry=own)
        self.readings = Histogram(
            "affekt_reading_z",
            "Worst z of a monitor over a reply",
            ["monitor", "concept"],
            buckets=Z,
            registry=own,
        )
        live = Gauge("affekt_live_requests", "Requests that wait or are being answered", registry=own)
        live.set_function(lambda: runner.live)
        waiting = Gauge("affekt_waiting_requests", "Requests without a token yet", registry=own)
        waiting.set_function(lambda: runner.waiting)

    def reply(
        self,
        reply: Reply,
        events: Sequence[Mapping[str, Any]],
        worst: Mapping[str, float],
        watched: Mapping[str, str],
    ) -> None:
        """Counts a reply.

        Args:
            reply: what came.
            events: its trips.
            worst: per monitor its worst value.
            watched: the floor's monitors and what each watches. Those that requests bring with them are one
                to the metrics: names of the clients' choosing would have no end.
        """
        self.tokens.labels("prompt").inc(reply.prompt_tokens if reply.choice == 0 else 0)
        self.tokens.labels("reply").inc(len(reply.tokens))
        for event in events:
            name = event["monitor"] if event["monitor"] in watched else REQUESTS
            self.trips.labels(name, event["action"]).inc()
        for name, value in worst.items():
            if name in watched:
                self.readings.labels(name, watched[name]).observe(value)

    def text(self) -> bytes:
        """All counts, as Prometheus reads them."""
        return generate_latest(self._registry)
