"""The homeostat: how strong a counter-bias must be to bring a reading back under a threshold and keep it so.

A proportional-integral law on the smoothed reading. Its set point lies a little under the threshold, so that
what is left once it is reached is on the safe side. Pure: one step per token, no clock, no tensors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from affekt.errors import PolicyError

__all__ = ["Homeostat", "State"]

SMOOTHING = 0.5
"""Weight of the newest token in the smoothed reading."""

PROPORTION = 3.0
"""The proportional part, in tokens of the integral one."""

LIMIT = 20.0
"""A reading further off than this, in z, counts as this far."""

IDLE = 0.02
"""A dose up to this is as good as none, and so can end without the reading's jumping back."""


@dataclass(frozen=True)
class State:
    """What the homeostat remembers from one token to the next."""

    active: bool = False
    """Whether it is at work."""
    dose: float = 0.0
    """Share of the counter-bias wanted, 0 to 1."""
    integral: float = 0.0
    """The part of the dose that past tokens ask for, 0 to 1."""
    smooth: float = 0.0
    """How far the reading is over the threshold, smoothed over the tokens since it started; in z."""
    calm: int = 0
    """How many tokens in a row were not over the threshold."""


@dataclass(frozen=True)
class Homeostat:
    """Settings of the controller.

    It settles without lasting oscillation where the whole counter-bias moves the reading by up to
    `0.25 / gain` z (8 at the default), within 10 tokens (as a first-order lag) after a delay of up to 4.
    """

    gain: float = 0.03
    """Dose per token and z of excess: how fast it acts; 0.005 to 0.1."""
    release: int = 8
    """How many calm tokens it takes before it lets go."""
    band: float = 0.5
    """How far under the threshold the set point lies, in z."""

    def __post_init__(self) -> None:
        if not 0.005 <= self.gain <= 0.1:
            raise PolicyError(f"a gain of {self.gain}; give 0.005 (slow) to 0.1 (fast)")
        if self.release < 1:
            raise PolicyError(f"release after {self.release} tokens; give 1 or more")
        if not (self.band >= 0.25 and math.isfinite(self.band)):
            raise PolicyError(f"a band of {self.band} z; give 0.25 or more")

    def step(self, state: State, excess: float) -> State:
        """The state after one more token.

        It starts when the reading is over the threshold, and lets go once `release` tokens in a row were calm
        and the law asks for no dose any more: a reading calm only by the counter-bias would jump back. The
        integral grows only while the dose is within its bounds (anti-windup).

        Args:
            state: before the token.
            excess: the reading less the threshold, in z; positive if it is too much.
        """
        calm = 0 if excess > 0 else state.calm + 1
        if not state.active and excess <= 0:
            return State(calm=calm)
        excess = min(max(excess, -LIMIT), LIMIT)
        smooth = state.smooth + SMOOTHING * (excess - state.smooth) if state.active else excess
        growth = self.gain * (smooth + self.band)
        wanted = state.integral + (1 + PROPORTION) * growth
        dose = min(max(wanted, 0.0), 1.0)
        outward = (wanted > 1 and growth > 0) or (wanted < 0 and growth < 0)
        integral = state.integral if outward else min(max(state.integral + growth, 0.0), 1.0)
        if calm >= self.release and dose <= IDLE:
            return State(calm=calm)
        return State(True, dose, integral, smooth, calm)
