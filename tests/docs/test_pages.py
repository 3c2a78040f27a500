"""The examples of the documentation, taken from its pages and run."""

from __future__ import annotations

import doctest
import json
import re
from inspect import signature
from pathlib import Path

import pytest
import torch
import yaml

from affekt.audit.gate import GatePolicy, fits
from affekt.audit.prompts import shipped_prompts
from affekt.audit.quantities import quantities
from affekt.cli.gate import gate
from affekt.cli.guard import EXAMPLE
from affekt.cli.traffic import read_traffic
from affekt.concepts import emotions
from affekt.errors import AffektError
from affekt.guards import Policy
from affekt.guards.action import LADDER
from affekt.steering import parse
from tests.steering.vectors import NAMES, made

DOCS = Path(__file__).parents[2] / "docs"
VECTORS = made(doses=torch.full((len(NAMES),), 0.3))


def blocks(page: str, kind: str) -> list[str]:
    """What stands between the fences of one kind."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", blocks("bias.md", "json"))
def test_every_bias_is_one(block: str) -> None:
    assert not parse(json.loads(block), VECTORS).is_zero


@pytest.mark.parametrize("line", "".join(blocks("bias.md", "json wrong")).splitlines())
def test_every_bias_that_is_said_to_be_refused_is(line: str) -> None:
    with pytest.raises(AffektError):
        parse(json.loads(line), VECTORS)


def test_there_are_examples_of_every_kind() -> None:
    assert len(blocks("bias.md", "json")) >= 10 and len(blocks("bias.md", "json wrong")) == 1
    assert len(blocks("guard.md", "yaml")) == 2


def test_the_python_of_the_bias_page() -> None:
    text = "\n".join(blocks("bias.md", "python"))
    test = doctest.DocTestParser().get_doctest(text, {"vectors": VECTORS}, "bias.md", None, 0)
    assert len(test.examples) == 5
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert runner.run(test, out=said.append).failed == 0, "".join(said)


def test_the_policies_of_the_guard_page_load(tmp_path: Path) -> None:
    for block in blocks("guard.md", "yaml"):
        file = tmp_path / "policy.yaml"
        file.write_text(block, encoding="utf-8")
        assert Policy.load(file).monitors
    assert blocks("guard.md", "yaml")[0] == EXAMPLE.read_text(encoding="utf-8")


def test_the_log_of_the_guard_page_is_read(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text("".join(blocks("guard.md", "json")), encoding="utf-8")
    assert len(read_traffic(file).sources) == 1


def test_the_guard_page_names_every_action_in_order() -> None:
    text = (DOCS / "guard.md").read_text(encoding="utf-8")
    assert re.findall(rf"^\| `({'|'.join(LADDER)})` \|", text, flags=re.MULTILINE) == list(LADDER)


def test_the_gate_of_the_audit_page_loads_and_its_workflow_calls_what_there_is(tmp_path: Path) -> None:
    rules, workflow = blocks("audit.md", "yaml")
    file = tmp_path / "gate.yaml"
    file.write_text(rules, encoding="utf-8")
    prompts = shipped_prompts()
    groups = [*{prompt.group for prompt in prompts}, "all"]
    policy = GatePolicy.load(file)
    fits(policy, [one.name for one in quantities(emotions())], groups)
    [job] = yaml.safe_load(workflow)["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    [call] = [command for command in commands if command.startswith("affekt gate ")]
    known = {f"--{name.replace('_', '-')}" for name in signature(gate).parameters}
    assert set(re.findall(r"--[a-z-]+", call)) <= known
    written = set(re.findall(r"\S+\.(?:md|xml)", call))
    assert written and all(any(name in str(step) for step in job["steps"][-2:]) for name in written)
