"""Rules over a comparison, what they write, and the history of checkpoints."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

from affekt.audit import compare
from affekt.audit.comparison import Comparison
from affekt.audit.gate import DEFAULT, GatePolicy, fits, judge
from affekt.audit.history import append, entry, read_history
from affekt.audit.junit import junit
from affekt.audit.lines import lines
from affekt.audit.markdown import markdown
from affekt.errors import PolicyError, StorageError
from tests.audit.planted import PROMPTS, along, world

POLICY = """
name: nightly
rules:
  - name: no new sadness
    of: [sad, Fear and Overwhelm]
    groups: [neutral, challenging]
    views: [chat end]
    up: 1.2
  - of: [happy]
    down: 3
    action: warn
"""


@cache
def sadder(z: float = 6.0) -> Comparison:
    here = world({"sadder": along("sad", z)}, noise=0.02)
    [one] = compare(here.open, "base", ["sadder"], here.vectors, PROMPTS, views=["chat end"])
    return one


def policy(tmp_path: Path, text: str = POLICY) -> GatePolicy:
    file = tmp_path / "gate.yaml"
    file.write_text(text)
    return GatePolicy.load(file)


def test_a_trespass_fails(tmp_path: Path) -> None:
    verdict = judge(policy(tmp_path), sadder())
    assert verdict.word == "fail"
    first, second = verdict.findings
    assert (first.verdict, second.verdict) == ("fail", "pass")
    assert {(shift.name, shift.group) for shift in first.trespasses} == {
        ("sad", "neutral"),
        ("sad", "challenging"),
    }
    assert first.worst.name == "sad" and first.worst.units > 1.2
    assert second.worst.name == "happy" and not second.trespasses
    json.dumps(verdict.to_dict(), allow_nan=False)


def test_what_is_not_called_is_no_trespass(tmp_path: Path) -> None:
    still = sadder(0.0)
    everything = "rules: [{of: [sad, happy, angry], up: 0.01, down: 0.01}]"
    assert judge(policy(tmp_path, everything), still).word == "pass"


def test_a_fall_and_a_warning(tmp_path: Path) -> None:
    text = "rules: [{of: [sad], groups: [neutral], down: 1, action: warn}]"
    verdict = judge(policy(tmp_path, text), sadder(-6.0))
    assert verdict.word == "warn" and verdict.findings[0].worst.shift < 0
    assert verdict.findings[0].rule.title == "sad down by 1 on neutral"
    assert judge(policy(tmp_path, text), sadder(6.0)).word == "pass"


def test_the_default_policy_holds_for_the_shipped_battery() -> None:
    assert [rule.action for rule in DEFAULT.rules] == ["fail", "warn"]
    assert DEFAULT.rules[0].of == ("afraid", "desperate", "angry") and DEFAULT.rules[0].groups == ("neutral",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [{of: [sadd], up: 1}]", r"unknown concept 'sadd'; did you mean 'sad'"),
        ("rules: [{of: [sad], groups: [neutrl], up: 1}]", r"unknown group 'neutrl'; did you mean 'neutral'"),
        ("rules: [{of: [sad], views: [reply], up: 1}]", r"unknown view 'reply'.*was not compared"),
    ],
)
def test_rules_that_name_something_unknown(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=message):
        judge(policy(tmp_path, text), sadder())


def test_rules_are_checked_before_anything_is_measured(tmp_path: Path) -> None:
    rules = policy(tmp_path)
    fits(rules, ["sad", "happy", "Fear and Overwhelm"], ["neutral", "challenging", "all"])
    with pytest.raises(PolicyError, match=r"'no new sadness': unknown concept 'sad'"):
        fits(rules, ["happy", "Fear and Overwhelm"], ["neutral", "challenging", "all"])
    with pytest.raises(PolicyError, match=r"unknown view 'chat ends'; did you mean 'chat end'"):
        fits(policy(tmp_path, "rules: [{of: [sad], views: [chat ends], up: 1}]"), ["sad"], ["all"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules:\n  - of: [sad]\n", r"gate\.yaml, line 2, rules\[0\].*'up' or 'down'"),
        ("rules:\n  - of: [sad]\n    up: -1\n", r"gate\.yaml, line 3, rules\[0\]\.up"),
        ("rules:\n  - of: [sad]\n    upp: 1\n", r"unknown key 'upp'; did you mean 'up'"),
        ("rules: []\n", r"gate\.yaml, line 1, rules"),
        ("rules:\n  - of: []\n    up: 1\n", r"rules\[0\]\.of"),
        ("rules:\n  - of: [sad]\n    up: 1\n    action: block\n", r"rules\[0\]\.action"),
        ("", "the file is empty"),
    ],
)
def test_policies_that_are_wrong(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=message):
        policy(tmp_path, text)


def test_what_a_ci_reads(tmp_path: Path) -> None:
    verdict = judge(policy(tmp_path), sadder())
    suite = ElementTree.fromstring(junit(verdict))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failed, passed = suite.findall("testcase")
    assert failed.get("name") == "no new sadness" and "sad +" in (failed.find("failure").get("message") or "")
    assert passed.find("failure") is None and (passed.findtext("system-out") or "").startswith("pass")
    text = markdown(verdict)
    assert text.startswith("## ❌ fail: sadder against base") and "| no new sadness | sad |" in text
    assert text.count("| ✅ pass |") == 1


def test_the_history_of_checkpoints(tmp_path: Path) -> None:
    file, rules = tmp_path / "history.jsonl", policy(tmp_path)
    for step, z in ((100.0, 0.0), (300.0, 6.0), (200.0, 3.0)):
        before = read_history(file)
        append(file, before, entry(judge(rules, sadder(z)), step, before))
    kept = read_history(file)
    assert [(one.step, one.verdict) for one in kept][::2] == [(100.0, "pass"), (300.0, "fail")]
    again = append(file, kept, entry(judge(rules, sadder(0.0)), 300.0, kept))
    assert len(again) == 3 and again[-1].verdict == "pass"
    watched = {(shift["name"], shift["group"]) for shift in kept[0].shifts}
    assert watched == {
        *((name, group) for name in ("sad", "Fear and Overwhelm") for group in ("neutral", "challenging")),
        ("happy", "all"),
    }
    page = lines(kept)
    assert page.count("<figure>") == 3 and "no new sadness" not in page and "sadder" in page
    assert entry(judge(rules, sadder(0.0)), None, kept).step == 4.0


def test_a_damaged_history_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text('{"format": "affekt.history/1", "step": 1')
    with pytest.raises(StorageError, match=r"the history is damaged: .*history\.jsonl:1"):
        read_history(file)
    file.write_text('{"format": "other"}\n')
    with pytest.raises(StorageError, match="not an entry of a history"):
        read_history(file)
    assert file.read_text() == '{"format": "other"}\n'
