"""A server's floor: a request may add to it and be stricter, never looser."""

from __future__ import annotations

from typing import Any

import pytest

from affekt.errors import PolicyError
from affekt.guards.policy import Policy
from affekt.guards.tightening import tighten

COUNTER = {"do": "counter", "bias": {"calm": 0.5}}


def policy(*rules: dict[str, Any], **settings: Any) -> Policy:
    return Policy(
        monitors=[{"what": "desperate", "threshold": 3.0, "action": "stop"} | rule for rule in rules],
        **settings,
    )


FLOOR = policy(
    {"name": "despair"},
    {"name": "rate", "what": "afraid", "threshold": None, "rate": 0.01, "action": COUNTER},
    name="server",
    hold_back=4,
    calibration="server.json",
)


def test_rules_are_added_and_made_stricter() -> None:
    result = tighten(
        FLOOR,
        policy(
            {"name": "despair", "threshold": 2.0},
            {"name": "rate", "what": "afraid", "threshold": None, "rate": 0.05, "action": "stop"},
            {"name": "own", "what": "hostile", "action": "flag"},
            hold_back=2,
        ),
    )
    assert [rule.name for rule in result.monitors] == ["despair", "rate", "own"]
    assert result.monitors[0].threshold == 2.0
    assert result.monitors[1].rate == 0.05 and result.monitors[1].action.do == "stop"
    assert (result.name, result.hold_back, result.calibration) == ("server", 4, "server.json")


@pytest.mark.parametrize(
    "rule, message",
    [
        ({"name": "despair", "threshold": 4.0}, "4 trips later than 3"),
        ({"name": "despair", "action": "flag"}, "'flag' is milder than 'stop'"),
        ({"name": "despair", "what": "calm"}, "watches something else"),
        ({"name": "despair", "direction": "below", "threshold": -3.0}, "watches something else"),
        ({"name": "despair", "position": "reply_mean"}, "watches something else"),
        ({"name": "despair", "threshold": None, "rate": 0.5}, "a rate where the server has one"),
        (
            {"name": "rate", "what": "afraid", "threshold": None, "rate": 0.001, "action": "stop"},
            "trips later",
        ),
        (
            {
                "name": "rate",
                "what": "afraid",
                "threshold": None,
                "rate": 0.01,
                "action": {"do": "counter", "bias": {"calm": 0.1}},
            },
            "the settings of 'counter' are the server's",
        ),
        (
            {"name": "x", "what": "bored", "action": {"do": "counter", "bias": {"desperate": 0.5}}},
            "works against the server's 'despair'",
        ),
        (
            {"name": "x", "what": "bored", "action": {"do": "counter", "bias": {"calm": -0.5}}},
            "works against the server's 'rate'",
        ),
        (
            {"name": "x", "what": "bored", "action": {"do": "damp", "hold": {"calm": {"high": 0}}}},
            "holds 'calm'",
        ),
        ({"name": "x", "action": "flag", "threshold": 9.0}, "milder"),
    ],
)
def test_nothing_can_be_loosened(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        tighten(FLOOR, policy(rule))


def test_below_the_stricter_threshold_is_the_higher_one() -> None:
    floor = policy({"name": "calm", "what": "calm", "direction": "below", "threshold": -3.0})
    lower = {"name": "calm", "what": "calm", "direction": "below"}
    assert tighten(floor, policy(lower | {"threshold": -2.0})).monitors[0].threshold == -2.0
    with pytest.raises(PolicyError, match="trips later"):
        tighten(floor, policy(lower | {"threshold": -4.0}))


@pytest.mark.parametrize("settings", [{"layer": 3}, {"calibration": "mine.json"}])
def test_what_is_read_is_the_servers(settings: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match="cannot change it"):
        tighten(FLOOR, policy({"name": "x"}, **settings))
