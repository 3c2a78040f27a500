"""Counts for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from affekt.server.runner import Runner

__all__ = ["Meters"]

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
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
            "Highest z of a concept over a reply",
            ["concept"],
            buckets=Z,
            registry=own,
        )
        live = Gauge("affekt_live_requests", "Requests that wait or are being answered", registry=own)
        live.set_function(lambda: runner.live)

    def reading(self, maxima: Mapping[str, float]) -> None:
        """Counts a reply's highest readings."""
        for concept, value in maxima.items():
            self.readings.labels(concept).observe(value)

    def text(self) -> bytes:
        """All counts, as Prometheus reads them."""
        return generate_latest(self._registry)
