"""Monitors: their values token by token are those of the whole, for every position, kind and direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affekt.concepts import emotions
from affekt.errors import PolicyError, UnknownConcept
from affekt.guards.monitor import Monitor
from affekt.reading.axes import arousal, valence
from affekt.reading.reading import Reading
from affekt.reading.smoothing import window

CONCEPTS = ("calm", "desperate", "afraid")


def rows(tokens: int, concepts: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(tokens, concepts)).astype(np.float32)


def reading(z: np.ndarray, concepts: tuple[str, ...]) -> Reading:
    n = len(z)
    spans = tuple((i + 1, i + 2) for i in range(n))  # a reply comes after its prompt
    return Reading("x" * (n + 1), ("x",) * n, spans, ("assistant",) * n, concepts, z, z, z, layer=1)


def test_a_concept_at_each_token() -> None:
    z = rows(7)
    monitor = Monitor("fear", "afraid", threshold=2.0)
    np.testing.assert_array_equal(monitor.values(z, CONCEPTS), z[:, 2].astype(np.float64))
    assert monitor.score(z, CONCEPTS) == z[:, 2].max()


def test_a_weighted_sum() -> None:
    z = rows(7)
    monitor = Monitor("tense", {"desperate": 1, "calm": -0.5})
    np.testing.assert_allclose(monitor.values(z, CONCEPTS), z[:, 1] - 0.5 * z[:, 0], rtol=1e-6)


def test_the_mean_of_the_reply_so_far() -> None:
    z = rows(9)
    values = Monitor("fear", "afraid", "reply_mean").values(z, CONCEPTS)
    np.testing.assert_allclose(values, [z[: i + 1, 2].mean() for i in range(9)], rtol=1e-5)


@pytest.mark.parametrize("span", [1, 2, 5, 50])
def test_a_window_is_the_windowed_reading(span: int) -> None:
    z = rows(20)
    values = Monitor("fear", "afraid", "window", window=span).values(z, CONCEPTS)
    np.testing.assert_allclose(values, window(reading(z, CONCEPTS), span).of("afraid"), atol=1e-6)


@pytest.mark.parametrize("name, trace", [("valence", valence), ("arousal", arousal)])
def test_axes_are_those_of_readings(name: str, trace) -> None:  # type: ignore[no-untyped-def]
    concepts = tuple(concept.name for concept in emotions())
    z = rows(6, len(concepts))
    values = Monitor(name, name).values(z, concepts)
    np.testing.assert_allclose(values, trace(reading(z, concepts)).values, atol=1e-6)


def test_an_axis_needs_rated_concepts() -> None:
    with pytest.raises(PolicyError, match="human norms"):
        Monitor("v", "valence").weights(("sarcastic", "curt"))


@given(st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=30), st.integers(1, 9), st.data())
def test_tokens_taken_back_leave_no_trace(values: list[float], span: int, data: st.DataObject) -> None:
    position = data.draw(st.sampled_from(["reply", "reply_mean", "window"]))
    monitor = Monitor("m", "calm", position, window=span if position == "window" else None)
    meter = monitor.meter(("calm",))
    for value in values:
        meter.add(np.array([value]))
        for dropped in range(data.draw(st.integers(0, 2))):
            meter.add(np.array([100.0 + dropped]))
            meter.drop(1)
    expected = monitor.values(np.array([[value] for value in [*values, 1.0]]), ("calm",))[-1]
    assert meter.add(np.array([1.0])) == pytest.approx(expected)


def test_more_tokens_may_be_dropped_than_there_are() -> None:
    meter = Monitor("m", "calm", "reply_mean").meter(("calm",))
    meter.add(np.array([5.0]))
    meter.drop(9)
    assert meter.add(np.array([1.0])) == 1.0


def test_above_and_below() -> None:
    above, below = Monitor("a", "calm", threshold=2), Monitor("b", "calm", threshold=2, direction="below")
    assert above.trips(2.1) and not above.trips(2.0) and not above.trips(1.9)
    assert below.trips(1.9) and not below.trips(2.0) and not below.trips(2.1)
    assert below.excess(1.5) == 0.5
    z = np.array([[3.0], [-4.0]])
    assert below.score(z, ("calm",)) == 4.0 and above.score(z, ("calm",)) == 3.0
    assert above.score(z[:0], ("calm",)) == -math.inf


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_reading_that_is_no_number_trips(value: float) -> None:
    assert Monitor("a", "calm", threshold=2).trips(value)
    assert Monitor("b", "calm", threshold=2, direction="below").trips(value)


def test_an_unknown_concept_gets_a_hint() -> None:
    with pytest.raises(UnknownConcept, match="did you mean 'desperate'"):
        Monitor("m", "desparate").meter(CONCEPTS)
    with pytest.raises(UnknownConcept, match="did you mean 'valence'"):
        Monitor("m", "valense").meter(CONCEPTS)


@pytest.mark.parametrize(
    "settings",
    [
        {"what": ""},
        {"what": {}},
        {"what": {"calm": 0.0}},
        {"what": {"calm": math.nan}},
        {"threshold": math.nan},
        {"threshold": math.inf},
        {"position": "window"},
        {"position": "window", "window": 0},
        {"position": "reply", "window": 3},
        {"name": ""},
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(PolicyError):
        Monitor(**({"name": "m", "what": "calm"} | settings))  # type: ignore[arg-type]


def test_without_a_threshold_nothing_can_be_judged() -> None:
    with pytest.raises(PolicyError, match="no threshold yet"):
        Monitor("m", "calm").trips(1.0)


def test_the_same_values_whatever_the_name() -> None:
    one = Monitor("a", {"calm": 1, "afraid": 2.0}, threshold=1)
    assert one.same_values(Monitor("b", {"afraid": 2, "calm": 1}, direction="below"))
    assert not one.same_values(Monitor("a", {"calm": 1, "afraid": 2.0}, "reply_mean"))
