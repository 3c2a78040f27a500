"""What a guard has put against a reply so far: ranges held, counter-biases and their strengths, tries."""

from __future__ import annotations

from collections.abc import Sequence

from affekt.guards.action import Damp, Resample
from affekt.guards.blend import blend, over, scaled
from affekt.guards.homeostat import State
from affekt.guards.tripwire import Tripwire
from affekt.steering.bias import Bias

__all__ = ["STEPS", "Counteraction"]

STEPS = 20
"""Steps between none and all of a counter-bias, so that the engine need not change it at each token."""


class Counteraction:
    """The steering of one guarded reply."""

    def __init__(self, wires: Sequence[Tripwire]) -> None:
        self._wires = tuple(wires)
        self._states = {index: State() for index, wire in enumerate(wires) if wire.homeostat is not None}
        self._levels = [0] * len(wires)
        self._highest = [0] * len(wires)
        self._in_force = tuple(self._levels)
        self._request = Bias()
        self._made: dict[tuple[int, ...], Bias] = {}

    def begin(self, request: Bias) -> None:
        """Takes the bias that the request came with."""
        self._request = request
        self._made.clear()

    def step(self, index: int, excess: float) -> None:
        """One more token under a counter rule."""
        homeostat = self._wires[index].homeostat
        if homeostat is not None:
            self._states[index] = homeostat.step(self._states[index], excess)
            self._set(index, round(self._states[index].dose * STEPS))

    def hold(self, index: int) -> None:
        """Holds the ranges of a damping rule from now on."""
        self._set(index, STEPS)

    def retry(self, index: int) -> int | None:
        """The number of the next try, from 1, under its part of the counter-bias; None if none is left."""
        action = self._wires[index].action
        if not isinstance(action, Resample) or self._levels[index] >= STEPS * action.times:
            return None
        self._set(index, self._levels[index] + STEPS)
        return self._levels[index] // STEPS

    def busy(self, index: int) -> bool:
        """Whether a rule goes on steering, so that it cannot trip anew."""
        if index in self._states:
            return self._states[index].active
        return isinstance(self._wires[index].action, Damp) and self._levels[index] > 0

    def highest(self, index: int) -> float:
        """The largest share of its counter-bias that a rule has used."""
        return self._highest[index] / STEPS

    def changed(self) -> Bias | None:
        """The reply's whole bias if it is another than when this was last asked, else None."""
        levels = tuple(self._levels)
        if levels == self._in_force:
            return None
        self._in_force = levels
        return self.whole()

    def whole(self) -> Bias:
        """The request's bias under all that is put against the reply."""
        levels = tuple(self._levels)
        if levels not in self._made:
            guard = blend(
                self._at(wire, level) for wire, level in zip(self._wires, levels, strict=True) if level
            )
            self._made[levels] = over(guard, self._request)
        return self._made[levels]

    def _set(self, index: int, level: int) -> None:
        self._levels[index] = level
        self._highest[index] = max(self._highest[index], level)

    @staticmethod
    def _at(wire: Tripwire, level: int) -> Bias:
        bias = wire.bias or Bias()
        if isinstance(wire.action, Damp):
            return bias
        tries = wire.action.times if isinstance(wire.action, Resample) else 1
        return scaled(bias, level / (STEPS * tries))
