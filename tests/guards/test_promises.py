"""What a guard promises, whatever is read and whatever the policy: nothing over a threshold is ever shown."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guards.scripted import ready, run

LENGTH = 12
BIAS = {"calm": 0.5}

readings = st.lists(st.floats(-5, 5, width=32), min_size=LENGTH + 1, max_size=LENGTH + 1)
harsh = st.one_of(
    st.just("stop"),
    st.builds(lambda text: {"do": "refuse", "text": text}, st.sampled_from(["No.", "Again."])),
    st.builds(
        lambda drop, times: {"do": "resample", "bias": BIAS, "drop": drop, "times": times},
        st.integers(1, 5),
        st.integers(1, 4),
    ),
)
mild = st.sampled_from(["observe", "flag", "damp", {"do": "counter", "bias": BIAS}])


@settings(max_examples=80)
@given(readings, st.lists(readings, min_size=4, max_size=4), harsh, mild, st.integers(0, 6), st.floats(-4, 4))
def test_no_token_over_the_threshold_is_shown(
    first: list[float], others: list[list[float]], action: Any, milder: Any, hold: int, threshold: float
) -> None:
    """Each dose on `calm` is a world of its own, so that a second try reads differently."""
    worlds: dict[float, list[float]] = {}

    def script(place: int, dose: float) -> float:
        world = worlds.setdefault(round(dose, 6), [first, *others][len(worlds) % 5])
        return world[place + 1]

    rules = [
        {"name": "mild", "threshold": threshold - 1, "action": milder},
        {"name": "harsh", "threshold": threshold, "action": action},
    ]
    drop = action["drop"] if isinstance(action, dict) and action["do"] == "resample" else 1
    result = run(ready(*rules, hold_back=max(hold, drop - 1)), script, tokens=LENGTH)
    assert all(result.values[place] <= threshold for place in result.shown)
    assert result.shown == list(range(len(result.shown)))
    trips = [event for event in result.events if event.monitor == "harsh"]
    assert all(event.value > threshold for event in trips)
    assert (result.finish == "guard") == (bool(trips) and result.directives[-1] in ("stop", "replace"))
    if isinstance(action, dict) and action["do"] == "resample":
        assert len(result.rewinds) <= action["times"]
        assert len(trips) <= action["times"] + 1
    else:
        assert not result.rewinds and len(trips) <= 1
    if result.finish == "length":
        assert result.shown == list(range(LENGTH))
