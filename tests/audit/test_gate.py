"""Rules over a comparison, what they write, and the history of checkpoints."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from affekt.audit import compare
from affekt.audit.comparison import Comparison
from affekt.audit.gate import DEFAULT, GatePolicy, fits, judge
from affekt.audit.history import append, entry, line_of, read_history, record
from affekt.audit.junit import junit
from affekt.audit.lines import lines
from affekt.audit.markdown import markdown
from affekt.audit.measure import Writing
from affekt.audit.page import page
from affekt.audit.terminal import render
from affekt.audit.wording import meaning, sentences
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


@cache
def silent(replies: int, model: str = "mute") -> Comparison:
    """A tuned model that ends its first replies at once; the first 8 of 16 prompts are neutral."""
    here = world({"mute": along("sad", 6.0)}, noise=0.02, silent={model: replies})
    [one] = compare(here.open, "base", ["mute"], here.vectors, PROMPTS, writing=Writing(tokens=4))
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


@pytest.mark.parametrize(
    ("replies", "model", "message"),
    [
        (
            16,
            "mute",
            r"at reply on neutral prompts for mute: 8 of 8 replies of mute were empty, .* leaves 0; ",
        ),
        (5, "mute", r"5 of 8 replies of mute were empty, which leaves 3; look at its replies"),
        (8, "base", r"for mute: 8 of 8 of base alone, which leaves 0"),
    ],
)
def test_where_nothing_was_measured_nothing_passes(
    replies: int, model: str, message: str, tmp_path: Path
) -> None:
    comparison = silent(replies, model)
    text = "rules: [{name: quiet, of: [sad], groups: [neutral], views: [VIEW], up: 1}]"
    rules = policy(tmp_path, text.replace("VIEW", "reply"))
    with pytest.raises(PolicyError, match=f"rule 'quiet' cannot be judged .*{message}"):
        judge(rules, comparison)
    with pytest.raises(PolicyError, match="cannot be judged"):
        judge(policy(tmp_path, text.replace("views: [VIEW], ", "")), comparison)
    assert judge(policy(tmp_path, text.replace("VIEW", "chat end")), comparison).word == "fail"


def test_half_of_the_replies_are_enough(tmp_path: Path) -> None:
    rules = policy(tmp_path, "rules: [{of: [sad], groups: [neutral], views: [reply], up: 100}]")
    verdict = judge(rules, silent(4))
    assert verdict.word == "pass" and verdict.findings[0].worst.n == 4


def test_a_shift_that_is_no_number_is_not_judged(tmp_path: Path) -> None:
    broken = sadder().shift.copy()
    broken[...] = np.nan
    with pytest.raises(PolicyError, match=r"the shift of sad is no number; look for NaN"):
        judge(policy(tmp_path), replace(sadder(), shift=broken))


@pytest.mark.filterwarnings("error")
def test_a_report_says_that_nothing_was_measured() -> None:
    one, out = silent(16), StringIO()
    [said] = [text for text in sentences(one) if "own reply" in text]
    assert said.endswith("(n = 0): nothing was measured; 16 of 16 replies of mute were empty.")
    assert not any("own reply" in text for text in meaning(one))
    render(one, Console(file=out, width=100))
    assert "nan" not in out.getvalue()
    assert "NaN" not in json.dumps(json.loads(one.to_json()), allow_nan=False)
    assert "nothing was measured" in page([one], [[]])
    half = [text for text in sentences(silent(5)) if "own reply" in text]
    assert "n = 11" in half[0] and "nothing was measured" not in half[0]


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


def test_a_history_is_of_one_base_and_one_way_to_measure(tmp_path: Path) -> None:
    file, verdict = tmp_path / "history.jsonl", judge(policy(tmp_path), sadder())
    here = world({})
    identity = here.model.identity
    line = line_of(identity, here.vectors, PROMPTS, 32)
    append(file, [], entry(verdict, 1.0, []))
    assert len(record(file, verdict, 2.0, line)) == 2, "an entry that does not say goes with any"
    assert len(record(file, verdict, 3.0, replace(line, base="another name"))) == 3
    assert [one.line and one.line.base for one in read_history(file)] == [None, identity.name, "another name"]
    kept = file.read_text()
    others = {
        "the weights of the base": line_of(
            replace(identity, weights_sha256="f" * 64), here.vectors, PROMPTS, 32
        ),
        "the vectors": line_of(identity, replace(here.vectors, mean=here.vectors.mean + 1), PROMPTS, 32),
        "the prompts": line_of(identity, here.vectors, PROMPTS[1:], 32),
        r"the tokens of a reply \(32, now 16\)": line_of(identity, here.vectors, PROMPTS, 16),
    }
    for what, other in others.items():
        with pytest.raises(StorageError, match=f"measured otherwise: other {what}[^;]*; go on as it was"):
            record(file, verdict, 4.0, other)
    assert file.read_text() == kept


def test_gates_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    file, verdict = tmp_path / "history.jsonl", judge(policy(tmp_path), sadder())
    here = world({})
    line = line_of(here.model.identity, here.vectors, PROMPTS, 32)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda step: record(file, verdict, float(step), line), range(16)))
    assert [one.step for one in read_history(file)] == list(range(16))


def test_a_damaged_history_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text('{"format": "affekt.history/1", "step": 1')
    with pytest.raises(StorageError, match=r"the history is damaged: .*history\.jsonl:1"):
        read_history(file)
    file.write_text('{"format": "other"}\n')
    with pytest.raises(StorageError, match="not an entry of a history"):
        read_history(file)
    assert file.read_text() == '{"format": "other"}\n'
