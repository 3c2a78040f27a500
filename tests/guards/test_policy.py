"""Policies: what is wrong with one is found on load, and said with its file, line and key."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from affekt.errors import PolicyError
from affekt.guards.action import LADDER, Counter, Resample
from affekt.guards.policy import Policy

GOOD = """
name: desk
hold_back: 7
monitors:
  - what: desperate
    position: reply_mean
    rate: 5 %
    action: observe
  - name: despair
    what: {desperate: 1, calm: -0.5}
    threshold: 2.5
    action:
      do: counter
      bias: {calm: 0.6, desperate: -0.3}
      release: 12
  - what: afraid
    threshold: 4
    action: {do: resample, bias: {calm: {dose: 0.1}}, times: 3}
  - what: valence
    direction: below
    position: window
    window: 16
    threshold: -3.0
    action: {do: refuse, text: "Let me start again."}
  - what: hostile
    position: prompt_end
    threshold: 5
    action: stop
"""


def rule(**settings: Any) -> dict[str, Any]:
    return {"what": "desperate", "threshold": 3.0, "action": "stop"} | settings


def wrong(*rules: dict[str, Any], **settings: Any) -> str:
    with pytest.raises(PolicyError) as caught:
        Policy(monitors=list(rules), **settings)
    return str(caught.value)


def load(tmp_path: Path, text: str, concepts: tuple[str, ...] | None = None) -> Policy:
    path = tmp_path / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return Policy.load(path, concepts)


def test_a_whole_policy(tmp_path: Path) -> None:
    policy = load(tmp_path, GOOD)
    actions = [each.action.do for each in policy.monitors]
    assert actions == ["observe", "counter", "resample", "refuse", "stop"]
    assert policy.monitors[0].rate == 0.05 and policy.monitors[0].threshold is None
    assert isinstance(policy.monitors[1].action, Counter) and policy.monitors[1].action.release == 12
    assert isinstance(policy.monitors[2].action, Resample) and policy.rewind == 8
    assert policy.monitors[3].monitor().window == 16
    assert policy.monitors[4].name == "hostile above at prompt_end: stop"
    assert Policy.of(policy) is policy
    assert Policy(**policy.model_dump()) == policy


def test_a_calibration_lies_beside_the_policy(tmp_path: Path) -> None:
    policy = load(tmp_path, "calibration: here.json\nmonitors:\n- {what: calm, rate: 0.1, action: flag}\n")
    assert policy.calibration == str(tmp_path / "here.json")


@pytest.mark.parametrize(
    "text, line, message",
    [
        ("monitors:\n- what: calm\n  treshold: 3\n  action: stop\n", 3, "did you mean 'threshold'"),
        ("monitors:\n- what: calm\n  threshold: .nan\n  action: stop\n", 3, "finite number"),
        ("monitors:\n- what: calm\n  threshold: .inf\n  action: stop\n", 3, "finite number"),
        ("monitors:\n- what: calm\n  threshold: yes\n  action: stop\n", 3, "expected a number"),
        ("monitors:\n- what: calm\n  threshold: high\n  action: stop\n", 3, "expected a number"),
        ("monitors:\n- what: calm\n  rate: 0\n  action: stop\n", 3, "greater than 0"),
        ("monitors:\n- what: calm\n  rate: 100 %\n  action: stop\n", 3, "less than 1"),
        ("monitors:\n- what: calm\n  threshold: 3\n  action: stopp\n", 4, "did you mean 'stop'"),
        ("monitors:\n- what: calm\n  threshold: 3\n  action:\n    do: refuse\n", 4, "text"),
        ("monitors:\n- what: calm\n  threshold: 3\n  action: {text: no}\n", 4, "'do' is missing"),
        ("monitors:\n- what: calm\n  threshold: 3\n  action: stop\n  position: replly\n", 5, "reply"),
        ("monitors:\n- what: desparate\n  threshold: 3\n  action: stop\n", 2, "did you mean 'desperate'"),
        (
            "monitors:\n- what: desperate\n  threshold: 3\n  - what: calm\n",
            4,
            "YAML",
        ),
        ("monitors:\n- what: calm\n  threshold: 3\n  action: stop\n  action: flag\n", 5, "stands twice"),
        ("monitors:\n- what: calm\n  on: 3\n  action: stop\n", 3, "put it in quotes"),
        ("monitors: []\n", 1, "no monitor"),
        ("monitor:\n- what: calm\n", 1, "did you mean 'monitors'"),
        ("monitors: 3\n", 1, "monitors: expected a list"),
        ("monitors:\n- what: [calm]\n  threshold: 3\n  action: stop\n", 2, "monitors[0].what: expected text"),
        (
            "monitors:\n- what: calm\n  threshold: 3\n  action: {do: counter, bias: {angry: 2}}\n",
            4,
            "monitors[0].action.bias.angry: input should be less than or equal to 1",
        ),
        (
            "monitors:\n- what: calm\n  threshold: 3\n  action: {do: counter, bias: {angry: {dial: 1}}}\n",
            4,
            "monitors[0].action.bias.angry.dial: unknown key 'dial'",
        ),
        ("monitors:\n- calm\n", 2, "expected a mapping"),
        ("monitors:\n- what: calm\n  threshold: 3\n", 2, "action: this key is missing"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(tmp_path, text)
    assert f"policy.yaml, line {line}" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text, message",
    [("", "empty"), ("- a\n- b\n", "a list"), ("a: 1\n---\nb: 2\n", "not one YAML document"), ("{", "YAML")],
)
def test_files_that_are_no_policy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        load(tmp_path, text)
    with pytest.raises(PolicyError, match="No such file"):
        Policy.load(tmp_path / "missing.yaml")


def test_the_place_is_named_down_to_the_key(tmp_path: Path) -> None:
    text = "monitors:\n- what: hostile\n  threshold: 3\n  action:\n    do: counter\n    bias:\n"
    text += "      calmm: 1\n"
    with pytest.raises(PolicyError) as caught:
        load(tmp_path, text, ("hostile", "calm"))
    assert str(caught.value).endswith(
        "policy.yaml, line 7, monitors[0].action.bias.calmm: unknown concept 'calmm'; did you mean 'calm'?"
    )


def test_concepts_of_ones_own_wait_for_their_vectors(tmp_path: Path) -> None:
    text = "monitors:\n- {what: quuxish, threshold: 3, action: stop}\n"
    policy = load(tmp_path, text)
    policy.check_concepts(("quuxish",))
    with pytest.raises(PolicyError, match=r"monitors\[0\].what: unknown concept 'quuxish'"):
        policy.check_concepts(("calm",))


def test_a_threshold_or_a_rate_but_not_both() -> None:
    assert "either 'threshold'" in wrong(rule(rate=0.01))
    assert "either 'threshold'" in wrong(rule(threshold=None))


def test_a_milder_action_may_not_come_later_than_a_harsher_one() -> None:
    message = wrong(rule(threshold=2.0, action="stop"), rule(threshold=3.0, action="flag"))
    assert message.startswith("monitors[1]: 'flag' is milder than 'stop'")
    assert "milder" in wrong(rule(threshold=3.0, action="flag"), rule(threshold=2.0))
    assert "milder" in wrong(
        rule(threshold=None, rate=0.05), rule(threshold=None, rate=0.01, action="observe")
    )
    below = {"direction": "below"}
    assert "milder" in wrong(rule(threshold=-2.0, **below), rule(threshold=-3.0, action="flag", **below))
    Policy(monitors=[rule(threshold=3.0), rule(threshold=2.0, action="flag")])
    Policy(monitors=[rule(threshold=2.0), rule(threshold=3.0, action="flag", what="calm")])
    Policy(monitors=[rule(threshold=2.0), rule(threshold=3.0, action="flag", position="reply_mean")])
    Policy(monitors=[rule(threshold=2.0), rule(threshold=None, rate=0.01, action="flag")])


@pytest.mark.parametrize("mild, harsh", list(pairwise(LADDER)))
def test_the_ladder_is_in_order(mild: str, harsh: str) -> None:
    more = {
        "counter": {"bias": {"calm": 0.5}},
        "resample": {"bias": {"calm": 0.5}},
        "refuse": {"text": "No."},
    }
    low, high = ({"do": name} | more.get(name, {}) for name in (mild, harsh))
    Policy(monitors=[rule(threshold=1.0, action=low, name="a"), rule(threshold=2.0, action=high, name="b")])
    assert "milder" in wrong(rule(threshold=1.0, action=high), rule(threshold=2.0, action=low))


def test_one_threshold_has_one_action() -> None:
    assert "two actions, stop and flag" in wrong(rule(), rule(action="flag"))
    assert "two monitors of the name 'x'" in wrong(rule(name="x"), rule(name="x", what="calm"))


def test_bounds_may_not_cross() -> None:
    assert "any reading trips" in wrong(rule(threshold=1.0), rule(threshold=2.0, direction="below"))
    Policy(monitors=[rule(threshold=2.0), rule(threshold=-2.0, direction="below")])


@pytest.mark.parametrize("do", ["counter", "resample"])
def test_steering_against_it_needs_a_bias_that_does_so(do: str) -> None:
    assert "bias" in wrong(rule(action={"do": do}))
    assert "bias" in wrong(rule(action={"do": do, "bias": {}}))
    assert "to the side on which it trips" in wrong(rule(action={"do": do, "bias": {"desperate": 0.1}}))
    assert "to the side" in wrong(rule(action={"do": do, "bias": {"desperate": {"dose": 0.1}}}))
    assert "to the side" in wrong(rule(what={"calm": -1.0}, action={"do": do, "bias": {"calm": -0.5}}))
    assert "does nothing" in wrong(rule(action={"do": do, "bias": {"calm": 0}}))
    assert "less than or equal to 1" in wrong(rule(action={"do": do, "bias": {"calm": 1.5}}))
    assert "finite" in wrong(rule(action={"do": do, "bias": {"calm": float("nan")}}))
    early = wrong(rule(position="prompt_end", action={"do": do, "bias": {"calm": 1}}))
    assert early.startswith("monitors[0].position") and "use 'damp'" in early


def test_what_has_been_shown_cannot_be_dropped() -> None:
    action = {"do": "resample", "bias": {"calm": 0.5}, "drop": 5}
    assert "cannot be dropped" in wrong(rule(action=action), hold_back=3)
    assert Policy(monitors=[rule(action=action)], hold_back=4).rewind == 5


def test_only_a_concept_can_be_damped_without_a_range() -> None:
    assert "needs 'hold'" in wrong(rule(what={"calm": 1.0}, action="damp"))
    assert "cannot hold valence" in wrong(rule(what="valence", action="damp"))
    assert "above high" in wrong(rule(action={"do": "damp", "hold": {"calm": {"low": 2, "high": 1}}}))
    assert "'low', 'high' or both" in wrong(rule(action={"do": "damp", "hold": {"calm": {}}}))
    held = {"do": "damp", "hold": {"calm": {"low": 2}}}
    lower = {"do": "damp", "hold": {"calm": {"high": 1}}}
    assert "cannot be held" in wrong(rule(action=held), rule(what="afraid", action=lower))


def test_no_monitor_no_policy() -> None:
    assert "guards nothing" in wrong()
    with pytest.raises(PolicyError, match="monitors"):
        Policy(name="x")
