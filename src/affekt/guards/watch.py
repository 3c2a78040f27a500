"""The guard of a reply: at the prompt's end and at each token before it is shown, project, compare, act."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from affekt.engines.token import Token
from affekt.engines.watch import Directive, WatchRow
from affekt.guards.action import LADDER, Counter, Damp, Flag, Observe, Refuse, Resample
from affekt.guards.counteraction import Counteraction
from affekt.guards.event import Event
from affekt.guards.tripwire import Tripwire

__all__ = ["Guardian", "Seen", "Vigil"]

FLAG, RESAMPLE = LADDER.index("flag"), LADDER.index("resample")


def _now() -> datetime:
    return datetime.now(UTC)


class Guardian:
    """A policy made ready for a model: it keeps a `Vigil` over each reply, of any number of requests."""

    def __init__(
        self, wires: Sequence[Tripwire], hold_back: int = 0, clock: Callable[[], datetime] = _now
    ) -> None:
        """Takes the rules.

        Args:
            wires: the policy's rules, resolved.
            hold_back: by how many tokens the stream is delayed, if more than the actions need.
            clock: the time of events.
        """
        self.wires = tuple(wires)
        self._hold, self._clock = hold_back, clock

    @property
    def hold(self) -> int:
        """By how many more tokens the stream is held back."""
        return self._hold

    @property
    def rewind(self) -> int:
        """The most tokens that may be dropped at once; 0 where no rule drops any."""
        actions = [wire.action for wire in self.wires]
        return max((action.drop for action in actions if isinstance(action, Resample)), default=0)

    def watch(self, request: str, choice: int, concepts: tuple[str, ...]) -> Vigil:
        """The guard of one reply."""
        held = max(self.hold, self.rewind - 1, 0)
        return Vigil(self.wires, request, choice, concepts, held, self._clock)


@dataclass(frozen=True)
class Seen:
    """What the guard saw at a token of the reply."""

    text: str
    """The token."""
    values: Mapping[str, float]
    """Per monitor that had a value there, by name."""


@dataclass
class _Trip:
    event: Event
    index: int
    outcome: str = ""
    age: int = 0
    back: int | None = None


class Vigil:
    """The guard of one reply. It must not raise: an error would end every reply of the batch.

    The engine shows a token once `held` more have been read, so that many may still be dropped.
    """

    def __init__(
        self,
        wires: Sequence[Tripwire],
        request: str,
        choice: int,
        concepts: tuple[str, ...],
        held: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._wires, self._clock = tuple(wires), clock
        self._request, self._choice = request, choice
        self._held, self._shown = held, 0
        self._meters = [wire.monitor.meter(concepts) for wire in wires]
        self._steering = Counteraction(wires)
        self._trips: list[_Trip] = []
        self._open: dict[int, _Trip] = {}
        self._measured: list[bool] = []
        self._seen: list[Seen] = []
        self._scores = {wire.monitor.name: -math.inf for wire in wires}

    @property
    def events(self) -> tuple[Event, ...]:
        """Every trip so far, with what has followed up to now."""
        return tuple(replace(trip.event, followed=self._followed(trip)) for trip in self._trips)

    @property
    def seen(self) -> tuple[Seen, ...]:
        """The reply's tokens as the guard saw them, those that it dropped left out."""
        return tuple(self._seen)

    @property
    def scores(self) -> Mapping[str, float]:
        """Per monitor the highest value so far (for `below`: minus the lowest), as a calibration has them."""
        return dict(self._scores)

    def prompt_end(self, row: WatchRow) -> Directive | None:
        """Called before the first token is chosen."""
        self._steering.begin(row.bias)
        return self._look(row, None)

    def token(self, row: WatchRow, token: Token) -> Directive | None:
        """Called before a token is shown; one that is no text, such as the end of the reply, is not read."""
        self._measured.append(row.role != "special")
        if not self._measured[-1]:
            self._seen.append(Seen(token.text, {}))
        order = self._look(row, token) if self._measured[-1] else None
        if order is None or order.kind != "rewind":
            self._shown = max(self._shown, len(row.tokens) - self._held)
        return order

    def _look(self, row: WatchRow, token: Token | None) -> Directive | None:
        values = self._project(row, early=token is None)
        if token is not None:
            named = {self._wires[index].monitor.name: value for index, value in values.items()}
            self._seen.append(Seen(token.text, named))
        tripped = self._compare(values)
        trips = [self._noted(index, values, token) for index in tripped]
        return self._act(trips, len(row.tokens))

    def _project(self, row: WatchRow, early: bool) -> dict[int, float]:
        """The value of each monitor that has one here."""
        values: dict[int, float] = {}
        for index, wire in enumerate(self._wires):
            monitor = wire.monitor
            if (monitor.position == "prompt_end") == early:
                values[index] = self._meters[index].add(row.z)
                score = monitor.sign * values[index]
                self._scores[monitor.name] = max(score, self._scores[monitor.name])
        return values

    def _compare(self, values: Mapping[int, float]) -> list[int]:
        """The wires that trip now. One that was beyond its threshold, or still steers, does not trip anew."""
        tripped = []
        for index, value in values.items():
            wire, trip = self._wires[index], self._open.get(index)
            beyond = wire.monitor.trips(value)
            self._steering.step(index, wire.monitor.excess(value))
            if trip is None or wire.rank >= RESAMPLE:
                if beyond:
                    tripped.append(index)
                continue
            trip.age += 1
            if not beyond and trip.back is None:
                trip.back = trip.age
            if not beyond and not self._steering.busy(index):
                del self._open[index]
        return tripped

    def _act(self, trips: Sequence[_Trip], written: int) -> Directive | None:
        """What the harshest action of those that tripped asks for; milder ones go on beside it."""
        for trip in trips:
            if isinstance(self._wires[trip.index].action, Damp):
                self._steering.hold(trip.index)
        worst = max(trips, key=lambda trip: self._wires[trip.index].rank, default=None)
        rank = -1 if worst is None else self._wires[worst.index].rank
        if worst is None or rank < RESAMPLE:
            bias = self._steering.changed()
            if bias is not None:
                return Directive("rebias", bias=bias, flag=rank >= FLAG)
            return Directive("flag") if rank >= FLAG else None
        order = self._end_or_retry(worst, written)
        for trip in trips:
            acts = isinstance(self._wires[trip.index].action, Damp | Counter | Resample)
            if acts and not trip.outcome and order.kind != "rewind":
                trip.outcome = f"left to {worst.event.monitor!r}"
        return order

    def _end_or_retry(self, trip: _Trip, written: int) -> Directive:
        action = self._wires[trip.index].action
        if isinstance(action, Resample):
            number = self._steering.retry(trip.index)
            if number is not None:
                dropped = min(action.drop, written - self._shown)
                self._drop(dropped)
                trip.outcome = f"{dropped} tokens dropped, try {number} of {action.times}"
                self._steering.changed()
                return Directive("rewind", bias=self._steering.whole(), tokens=dropped, flag=True)
        text = action.text if isinstance(action, Refuse | Resample) else None
        tried = f"no try of {action.times} is left; " if isinstance(action, Resample) else ""
        if text is not None:
            trip.outcome = f"{tried}the reply is replaced"
            return Directive("replace", text=text, flag=True)
        trip.outcome = f"{tried}the reply ends here"
        return Directive("stop", flag=True)

    def _drop(self, tokens: int) -> None:
        kept = len(self._measured) - tokens
        measured = sum(self._measured[kept:])
        del self._measured[kept:], self._seen[kept:]
        for wire, meter in zip(self._wires, self._meters, strict=True):
            if wire.monitor.position != "prompt_end":
                meter.drop(measured)

    def _noted(self, index: int, values: Mapping[int, float], token: Token | None) -> _Trip:
        wire = self._wires[index]
        event = Event(
            time=self._clock().isoformat(timespec="milliseconds"),
            request=self._request,
            choice=self._choice,
            monitor=wire.monitor.name,
            position=wire.monitor.position,
            token=None if token is None else token.index,
            text="" if token is None else token.text,
            value=values[index],
            threshold=float(wire.monitor.threshold or 0.0),
            direction=wire.monitor.direction,
            action=wire.action.do,
            followed="",
            values={self._wires[each].monitor.name: value for each, value in values.items()},
        )
        trip = _Trip(event, index)
        self._trips.append(trip)
        if wire.rank < RESAMPLE:
            self._open[index] = trip
        return trip

    def _followed(self, trip: _Trip) -> str:
        if trip.outcome:
            return trip.outcome
        match self._wires[trip.index].action:
            case Observe():
                done = "noted"
            case Flag():
                done = "the reply is marked"
            case Resample():
                return "left to another rule that dropped the tokens"
            case Counter():
                done = f"countered, with at most {self._steering.highest(trip.index):.0%} of the bias"
            case _:
                done = "held in range from the next token on"
        if trip.event.token is None:
            return done
        return f"{done}; " + (
            "not back at the last token read" if trip.back is None else f"back after {trip.back} tokens"
        )
