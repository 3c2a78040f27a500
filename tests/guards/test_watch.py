"""The guard of a reply, on scripted readings: what is shown, what is steered, what is written down."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from affekt.engines import Watch, Watcher
from affekt.guards.event import Event
from tests.guards.scripted import NAMES, Run, ready, run

BIAS = {"calm": 0.5}
"""Half a dial: a dose of 0.2 in the vectors of these tests."""


def peak(at: int, value: float = 9.0, rest: float = 0.0) -> Any:
    return lambda place, _dose: value if place == at else rest


def only(result: Run) -> Event:
    assert len(result.events) == 1
    return result.events[0]


def test_it_is_what_the_engine_asks_for() -> None:
    guardian = ready({"threshold": 3.0, "action": "stop"})
    assert isinstance(guardian, Watcher) and isinstance(guardian.watch("r", 0, NAMES), Watch)
    assert (guardian.hold, guardian.rewind) == (0, 0)
    resampling = ready({"threshold": 3.0, "action": {"do": "resample", "bias": BIAS, "drop": 5}}, hold_back=6)
    assert (resampling.hold, resampling.rewind) == (6, 5)


def test_calm_replies_are_left_alone() -> None:
    result = run(ready({"threshold": 3.0, "action": "stop"}), lambda _place, _dose: 2.9)
    assert result.shown == list(range(30)) and result.finish == "length"
    assert not result.events and not result.directives and not result.flagged


@pytest.mark.parametrize("at", [0, 1, 7, 29])
@pytest.mark.parametrize("hold", [0, 1, 4])
def test_stop_shows_nothing_from_the_tripping_token_on(at: int, hold: int) -> None:
    result = run(ready({"threshold": 3.0, "action": "stop"}, hold_back=hold), peak(at))
    assert result.shown == list(range(at))
    assert result.finish == "guard" and result.flagged
    event = only(result)
    assert (event.token, event.text, event.value, event.threshold) == (at, f"t{at} ", 9.0, 3.0)
    assert event.followed == "the reply ends here"


def test_stop_at_the_prompts_end_shows_nothing() -> None:
    rule = {"threshold": 3.0, "action": "stop", "position": "prompt_end"}
    result = run(ready(rule), peak(-1))
    assert result.shown == [] and result.finish == "guard"
    assert only(result).token is None
    assert run(ready(rule), peak(4)).shown == list(range(30))


def test_reply_monitors_do_not_see_the_prompts_end() -> None:
    assert not run(ready({"threshold": 3.0, "action": "stop"}), peak(-1)).events


def test_refuse_replaces_the_reply() -> None:
    result = run(ready({"threshold": 3.0, "action": {"do": "refuse", "text": "No."}}, hold_back=3), peak(6))
    assert result.text == "No." and result.finish == "guard"
    assert result.shown == [0, 1, 2]
    assert only(result).followed == "the reply is replaced"


@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize("text", [None, "No."])
def test_resample_tries_as_often_as_it_may(times: int, text: str | None) -> None:
    action = {"do": "resample", "bias": BIAS, "drop": 4, "times": times} | ({"text": text} if text else {})
    result = run(ready({"threshold": 3.0, "action": action}), peak(9))
    assert result.rewinds == [4] * times
    assert result.finish == "guard" and 9 not in result.shown
    assert len(result.events) == times + 1
    assert result.events[0].followed == f"4 tokens dropped, try 1 of {times}"
    assert result.events[-1].followed.startswith(f"no try of {times} is left")
    assert sorted(set(result.doses)) == pytest.approx([0.2 * i / times for i in range(times + 1)])
    if text:
        assert result.text == "No." and result.shown == list(range(6))
    else:
        assert result.shown == list(range(9))


def test_resample_goes_on_under_its_bias_once_that_helps() -> None:
    action = {"do": "resample", "bias": BIAS, "drop": 4, "times": 2}
    result = run(
        ready({"threshold": 3.0, "action": action}),
        lambda place, dose: 9.0 if place == 9 and dose < 0.15 else 0,
    )
    assert result.finish == "length" and result.shown == list(range(30)) and result.flagged
    assert len(result.rewinds) == 2 and result.doses[-1] == pytest.approx(0.2)


def test_resample_near_the_start_drops_what_there_is() -> None:
    action = {"do": "resample", "bias": BIAS, "drop": 8, "times": 1}
    result = run(
        ready({"threshold": 3.0, "action": action}), lambda place, dose: 9.0 if place == 1 and not dose else 0
    )
    assert result.rewinds == [2] and result.shown == list(range(30))


def test_dropped_tokens_do_not_count_in_a_mean() -> None:
    action = {"do": "resample", "bias": BIAS, "drop": 2, "times": 1}
    result = run(
        ready({"threshold": 3.0, "action": action, "position": "reply_mean"}),
        lambda place, dose: 0.0 if dose or place != 4 else 20.0,
    )
    assert result.rewinds == [2] and len(result.events) == 1
    assert result.events[0].value == pytest.approx(4.0)


def test_observe_and_flag_change_nothing_but_say_so() -> None:
    script = lambda place, _dose: 5.0 if 4 <= place < 7 or place > 26 else 0.0  # noqa: E731
    seen = run(ready({"threshold": 3.0, "action": "observe"}), script)
    assert seen.shown == list(range(30)) and not seen.flagged and not seen.directives
    assert [event.token for event in seen.events] == [4, 27]
    assert [event.followed for event in seen.events] == [
        "noted; back after 3 tokens",
        "noted; not back at the last token read",
    ]
    flagged = run(ready({"threshold": 3.0, "action": "flag"}), script)
    assert flagged.flagged and flagged.directives == ["flag", "flag"]


def test_damp_holds_the_reading_from_then_on() -> None:
    result = run(ready({"threshold": 3.0, "action": "damp"}), lambda place, _dose: 5.0 if place > 3 else 0.0)
    assert result.directives == ["rebias"] and result.flagged and result.shown == list(range(30))
    (term,) = result.biases[0].terms
    assert (term.concept, term.mode, term.high, term.low) == ("desperate", "clamp", 3.0, -math.inf)
    assert term.layers == (1, 2)
    assert only(result).followed.startswith("held in range")


def test_damp_below_and_of_other_concepts() -> None:
    below = run(
        ready({"what": "desperate", "threshold": -3.0, "direction": "below", "action": "damp"}), peak(3, -9.0)
    )
    assert below.biases[0].terms[0].low == -3.0
    hold = {"calm": {"low": 1.0}, "angry": {"high": 0.5}}
    several = run(ready({"threshold": 3.0, "action": {"do": "damp", "hold": hold}}), peak(3))
    assert {(term.concept, term.low, term.high) for term in several.biases[0].terms} == {
        ("calm", 1.0, math.inf),
        ("angry", -math.inf, 0.5),
    }


def test_damp_at_the_prompts_end_acts_on_the_reply() -> None:
    result = run(ready({"threshold": 3.0, "action": "damp", "position": "prompt_end"}), peak(-1))
    assert result.directives == ["rebias"] and result.shown == list(range(30))


def test_counter_brings_the_reading_back_and_lets_go() -> None:
    rule = {"threshold": 3.0, "action": {"do": "counter", "bias": BIAS, "release": 4}}
    result = run(ready(rule), lambda place, dose: (6.0 if 5 <= place < 60 else 0.0) - 25 * dose, tokens=120)
    assert result.shown == list(range(120)) and result.flagged
    event = only(result)
    assert event.token == 5 and "back after" in event.followed and "% of the bias" in event.followed
    assert max(result.values[40:60]) <= 3.0
    assert result.doses[-1] == 0.0 and result.biases[-1].is_zero
    assert max(result.doses) <= 0.2 + 1e-9


def test_counter_without_effect_stays_within_its_dial() -> None:
    rule = {"threshold": 3.0, "action": {"do": "counter", "bias": BIAS}}
    result = run(ready(rule), lambda _place, _dose: 6.0, tokens=100)
    assert max(result.doses) == pytest.approx(0.2)
    assert "not back" in only(result).followed and "100%" in only(result).followed


def test_the_requests_own_bias_stays_in_force() -> None:
    rule = {"threshold": 3.0, "action": {"do": "counter", "bias": BIAS, "release": 2}}
    result = run(ready(rule), peak(5), request={"angry": {"dose": 0.3}, "calm": {"dose": -0.1}})
    assert result.biases
    for bias in result.biases:
        assert 0.3 in [term.dose for term in bias.terms if term.concept == "angry"]
    assert result.doses[0] == result.doses[-1] == pytest.approx(-0.1)
    assert max(result.doses) > -0.1


def test_the_guard_wins_over_a_request_that_contradicts_it() -> None:
    request = {"desperate": {"mode": "set", "value": 8.0}}
    result = run(ready({"threshold": 3.0, "action": "damp"}), lambda _place, _dose: 8.0, request=request)
    (term,) = result.biases[0].terms
    assert term.mode == "clamp" and term.high == 3.0


def test_a_request_of_many_terms_cannot_crowd_the_guard_out() -> None:
    request = {
        name: [{"dose": 0.01, "where": {"first": n, "of": "reply"}} for n in range(1, 14)]
        for name in ("angry", "furious", "proud", "calm")
    }
    request["desperate"] = [{"dose": 0.01, "where": {"first": n, "of": "reply"}} for n in range(1, 13)]
    result = run(ready({"threshold": 3.0, "action": "damp"}), peak(3), request=request)
    assert "clamp" in {term.mode for term in result.biases[0].terms}


def test_the_harshest_of_those_that_trip_is_done_and_all_are_written_down() -> None:
    rules = [
        {"threshold": 1.0, "action": "observe"},
        {"threshold": 2.0, "action": {"do": "counter", "bias": BIAS}},
        {"threshold": 3.0, "action": {"do": "refuse", "text": "No."}, "name": "last"},
    ]
    result = run(ready(*rules), peak(5))
    assert result.text == "No." and result.shown == list(range(5))
    assert [event.action for event in result.events] == ["observe", "counter", "refuse"]
    assert result.events[1].followed == "left to 'last'"
    assert result.events[0].values == {event.monitor: 9.0 for event in result.events}


def test_counter_and_resample_act_together() -> None:
    rules = [
        {"threshold": 2.0, "action": {"do": "counter", "bias": {"calm": 0.25}}},
        {"threshold": 6.0, "action": {"do": "resample", "bias": BIAS, "drop": 3, "times": 1}},
    ]
    result = run(ready(*rules), lambda place, dose: 9.0 if place == 8 and dose < 0.2 else 0.0)
    assert result.rewinds == [3] and result.finish == "length"
    assert max(result.doses) > 0.2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_reading_that_is_no_number_is_not_let_through(bad: float) -> None:
    result = run(ready({"threshold": 3.0, "action": "stop"}), peak(5, bad))
    assert result.shown == list(range(5))
    record = json.loads(only(result).to_json())
    assert record["value"] is None and record["token"] == 5


def test_tokens_that_are_no_text_are_not_read() -> None:
    guardian = ready({"threshold": 3.0, "action": "stop"})
    assert run(guardian, peak(29), special=frozenset({29})).shown == list(range(30))
    mean = ready({"threshold": 3.0, "action": "stop", "position": "window", "window": 2})
    result = run(mean, lambda place, _dose: 2.9 if place != 7 else 99.0, special=frozenset({7}))
    assert result.finish == "length"


def test_replies_do_not_know_each_other() -> None:
    guardian = ready({"threshold": 3.0, "action": {"do": "resample", "bias": BIAS, "drop": 2, "times": 1}})
    first, second = run(guardian, peak(5)), run(guardian, peak(5))
    assert first == second


def test_an_event_says_it_all() -> None:
    event = only(run(ready({"threshold": 3.0, "action": "stop", "name": "despair"}), peak(2)))
    assert json.loads(event.to_json()) == {
        "time": "2026-01-02T03:04:05.000+00:00",
        "request": "r",
        "choice": 0,
        "monitor": "despair",
        "position": "reply",
        "token": 2,
        "text": "t2 ",
        "value": 9.0,
        "threshold": 3.0,
        "direction": "above",
        "action": "stop",
        "followed": "the reply ends here",
        "values": {"despair": 9.0},
    }
    assert str(event) == "despair: 9.00 is over 3.00 at token 2 ('t2 '); stop: the reply ends here"


def test_scores_are_those_a_calibration_would_have() -> None:
    guardian = ready(
        {"threshold": 30.0, "action": "stop", "name": "up"},
        {"threshold": -30.0, "action": "stop", "direction": "below", "name": "down"},
        {"threshold": 30.0, "action": "stop", "position": "reply_mean", "name": "mean"},
        {"threshold": 30.0, "action": "stop", "position": "prompt_end", "name": "early"},
    )
    result = run(guardian, lambda place, _dose: -2.0 if place < 0 else float(place % 7) - 3)
    assert result.scores == {"up": 3.0, "down": 3.0, "mean": 0.0, "early": -2.0}
    assert not result.events
