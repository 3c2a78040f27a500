"""What a running server has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from affekt.concepts.source import Source
from affekt.engines.batch import OpenBatch
from affekt.engines.engine import BiasLike
from affekt.guards.recording import ReadingEngine
from affekt.models.prompt import Encoded
from affekt.reading.reading import Reading
from affekt.server.access import Access
from affekt.server.affect_map import coordinates
from affekt.server.feed import Feed
from affekt.server.floor import Floor
from affekt.server.gate import Gate
from affekt.server.meters import Meters
from affekt.server.runner import Runner
from affekt.server.settings import Settings
from affekt.server.store import Database, Keys, Trail

__all__ = ["Service", "ServingEngine"]


@runtime_checkable
class ServingEngine(ReadingEngine, Protocol):
    """An engine that requests come to while others are being answered."""

    def read(
        self,
        sources: Sequence[Source | Encoded],
        concepts: Sequence[str] | None = None,
        layer: int | None = None,
        bias: BiasLike = None,
        *,
        generation_prompt: bool = False,
    ) -> list[Reading]:
        """Every token of every source; with `generation_prompt`, chats up to where the assistant begins."""

    def open_batch(self) -> OpenBatch:
        """A batch that requests are added to while it runs."""


@dataclass
class Service:
    """One model, one engine, one audit trail."""

    settings: Settings
    """What the operator decided."""
    engine: ServingEngine
    """Runs the model."""
    runner: Runner
    """Answers requests in one batch."""
    floor: Floor
    """The policy over all replies."""
    trail: Trail
    """The audit trail."""
    access: Access
    """Who may do what."""
    meters: Meters
    """Counts for Prometheus."""
    feed: Feed
    """Events as they happen, for those who listen."""
    reads: Gate
    """Readings without a reply."""
    explanations: Gate
    """Explanations, which are hundreds of forwards each."""
    aliases: tuple[str, ...] = ()
    """Other names of the model that requests may use."""
    started: int = field(default_factory=lambda: int(time.time()))
    """When, in seconds since 1970."""
    loop: asyncio.AbstractEventLoop | None = None
    """The loop that serves, once it does."""
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @classmethod
    def of(
        cls,
        engine: ServingEngine,
        settings: Settings | None = None,
        *,
        database: str,
        policy: Path | None = None,
        calibration: Path | None = None,
        aliases: tuple[str, ...] = (),
    ) -> Service:
        """A service on an engine; the database is migrated.

        Raises:
            StoreError: the database cannot be opened.
            PolicyError, CalibrationError: the policy is wrong.
        """
        settings = settings or Settings()
        floor = Floor(engine, policy, calibration)
        kept = Database(database)
        kept.migrate()
        runner = Runner(engine.open_batch, settings.queue)
        return cls(
            settings=settings,
            engine=engine,
            runner=runner,
            floor=floor,
            trail=Trail(kept, settings.text, settings.retention_days),
            access=Access(Keys(kept), settings),
            meters=Meters(runner),
            feed=Feed(),
            reads=Gate(runner, settings.queue),
            explanations=Gate(runner, 4),
            aliases=aliases,
        )

    @property
    def name(self) -> str:
        """The model's name, as `/v1/models` gives it."""
        return self.engine.model.identity.name

    @cached_property
    def places(self) -> list[dict[str, float | str] | None]:
        """Where each concept lies on the plane of valence and arousal."""
        return coordinates(self.engine.vectors) if self.engine.vectors is not None else []

    @property
    def names(self) -> tuple[str, ...]:
        """All names that requests may use."""
        return (self.name, *self.aliases)

    @cached_property
    def special_tokens(self) -> tuple[str, ...]:
        """The texts of the tokens that make turns and ends of the model's chats."""
        added = self.engine.model.tokenizer.added_tokens_decoder
        return tuple(token.content for token in added.values() if token.special)

    def keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs work that goes on when the client has left, and that a shutdown waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def refuse(self) -> None:
        """Takes no new requests from now on; safe in the handler of a signal."""
        self.runner.refuse()
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.feed.end)

    async def close(self) -> None:
        """Lets running replies finish and be recorded, then ends."""
        await self.runner.drain(self.settings.drain)
        await asyncio.to_thread(self.runner.stop)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)
        self.trail.database.close()
