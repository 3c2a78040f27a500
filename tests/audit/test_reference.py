"""Controls as the reference: what all trainings share is not called, what one has alone is."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from affekt.audit import compare
from affekt.audit.assembly import assembled
from affekt.audit.comparison import Comparison
from affekt.audit.examples import examples
from affekt.audit.gate import GatePolicy, judge
from affekt.audit.history import append, entry, read_history
from affekt.audit.junit import junit
from affekt.audit.keep import Keep, Seen
from affekt.audit.lines import lines
from affekt.audit.markdown import markdown
from affekt.audit.measure import Writing
from affekt.audit.page import page
from affekt.audit.prompts import Prompt
from affekt.audit.reference import Reference, left_out
from affekt.audit.setup import Setup
from affekt.audit.terminal import render
from affekt.audit.wording import headline
from affekt.errors import PolicyError, PromptError, StorageError
from affekt.vectors import ConceptVectors
from tests.audit.planted import CONCEPTS, PROMPTS, World, along, held, world
from tests.models import tiny

CONTROLS = ("run", "run 2", "run three")


def trained(noise: float = 0.02, own: float = 3.0) -> World:
    """Three harmless trainings that sadden alike; one that angers as well, and a fourth harmless one."""

    def both(vectors: ConceptVectors) -> torch.Tensor:
        return along("sad", 3.0)(vectors) + along("angry", own)(vectors)

    harmless = {name: along("sad", 3.0) for name in (*CONTROLS, "one more run")}
    return world({**harmless, "angrier": both}, noise=noise)


def against(here: World, *tuned: str, **options: object) -> list[Comparison]:
    options = {"writing": Writing(tokens=4), "controls": CONTROLS, "against": "controls", **options}
    return list(compare(here.open, "base", tuned, here.vectors, PROMPTS, **options))  # type: ignore[arg-type]


def test_what_all_trainings_share_is_not_called() -> None:
    here = trained()
    one, harmless = against(here, "angrier", "one more run", views=["plain end", "chat end"])
    for view in ("plain end", "chat end"):
        assert [shift.name for shift in one.shifts(view) if shift.called] == ["angry"]
        angry = one.at(view, "all", "angry")
        assert abs(angry.shift - 3.0) < 0.1 and abs(angry.tuned - angry.base - angry.shift) < 1e-6
        assert not any(shift.called for shift in harmless.shifts(view))
    [bare] = against(here, "angrier", against="base", controls=[], views=["chat end"])
    assert {shift.name for shift in bare.shifts("chat end") if shift.called} == {"sad", "angry"}
    assert (one.against, one.reference) == ("controls", CONTROLS)
    assert (bare.against, bare.reference) == ("base", ("base",))
    record = one.to_dict()
    assert record["against"] == "controls" and record["reference"] == list(CONTROLS)


def test_the_floor_of_controls() -> None:
    here = world(
        {name: along("sad", z) for name, z in zip((*CONTROLS, "sadder"), (2.9, 3.0, 3.4, 3.3), strict=True)}
    )
    [one] = against(here, "sadder", views=["chat end", "reply"])
    own = tuple(f"control {name} against the others" for name in CONTROLS)
    assert one.arms["chat end"] == ("bfloat16", "int8", *own)
    assert one.arms["reply"] == ("another seed", "bfloat16", "int8", *own)
    sad = one.at("chat end", "all", "sad")
    assert np.isclose(sad.shift, 0.2, atol=1e-4) and np.isclose(sad.floor, 0.45, atol=1e-4)
    assert not sad.called
    [bare] = against(here, "sadder", floor=False, views=["chat end", "reply"])
    assert bare.arms["reply"] == own and np.isclose(bare.at("chat end", "all", "sad").floor, 0.45, atol=1e-4)
    assert (
        "root mean square" in one.notes[-1] and "chat end" in one.notes[-1] and "sad +3.10" in one.notes[-1]
    )
    [two] = against(here, "sadder", controls=CONTROLS[:2], floor=False, views=["plain end"])
    assert "With two controls" in two.notes[-1]


def test_the_size_of_residuals_is_no_smaller_for_being_a_mean() -> None:
    here = trained(noise=5.0)
    [one] = against(here, "one more run", views=["plain end"], floor=False)
    assert 0.95 < float(one.norm_ratio[0]) < 1.05


def simulated(rng: np.random.Generator, extra: float) -> Comparison:
    """Four trainings that differ by chance, in what they share over prompts and prompt by prompt; the fourth,
    which is tested, raises one emotion by so many z besides."""
    vectors = held(tiny("llama", hidden_size=64, head_dim=16))
    prompts = tuple(Prompt(str(i), "neutral", "", f"What is {i}?") for i in range(42))
    setup = Setup(prompts, vectors, ("plain end",), "plain", Writing(), Keep())

    def run(more: torch.Tensor) -> dict[str, Seen]:
        training, prompt = (
            torch.from_numpy(rng.normal(size=(rows, 2, 64)).astype(np.float32)) for rows in (1, 42)
        )
        return {"plain end": Seen(training * 0.3 + prompt + more)}

    nothing = torch.zeros(64)
    controls = Reference(CONTROLS, tuple(run(nothing) for _ in CONTROLS))
    after = run(along("angry", extra)(vectors))
    return assembled("base", "angrier", setup, controls, after, left_out(controls, setup))


def test_a_harmless_training_more_is_seldom_called() -> None:
    """Of 45 emotions in 12 worlds at most the stated rate is called for one more harmless training."""
    rng = np.random.default_rng(0)
    false = [shift.called for _ in range(12) for shift in simulated(rng, 0.0).shifts("plain end")]
    assert len(false) == 12 * len(CONCEPTS) and np.mean(false) <= 0.05
    found = [simulated(rng, 6.0).at("plain end", "all", "angry") for _ in range(3)]
    assert all(shift.called and shift.shift > 0 for shift in found)


def test_a_prompt_that_a_control_did_not_answer_is_left_out() -> None:
    rng = np.random.default_rng(1)
    one = simulated(rng, 0.0)
    vectors = held(tiny("llama", hidden_size=64, head_dim=16))
    setup = Setup(PROMPTS, vectors, ("reply",), "chat", Writing(), Keep())
    rows = [torch.from_numpy(rng.normal(size=(len(PROMPTS), 2, 64)).astype(np.float32)) for _ in range(4)]
    rows[1][3] = torch.nan
    seen = [{"reply": Seen(row, ("words",) * len(PROMPTS))} for row in rows]
    controls = Reference(CONTROLS, tuple(seen[:3]))
    two = assembled("base", "tuned", setup, controls, seen[3], left_out(controls, setup))
    assert int(one.n[0, -1]) == 42 and int(two.n[0, -1]) == len(PROMPTS) - 1
    assert np.isfinite(two.shift[0, -1]).all() and np.isfinite(two.floor).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"against": "control"}, r"unknown reference 'control'; did you mean 'controls'"),
        ({"controls": CONTROLS[:1]}, r"needs at least two of them, better three; got 1: .*--control"),
        ({"controls": ["run", "run", "run 2"]}, r"control run is named twice"),
        ({"controls": ["run", "angrier"]}, r"angrier is tested and a control as well"),
    ],
)
def test_controls_that_cannot_be_a_reference(options: dict[str, object], message: str) -> None:
    here = trained()
    with pytest.raises(PromptError, match=message):
        against(here, "angrier", **options)
    assert here.opened == [], "found before a model was opened"


def test_two_names_for_the_same_weights() -> None:
    here = trained()

    def open(name: str):  # type: ignore[no-untyped-def]
        subject = here.open(name)
        if name not in ("copy", "run"):
            return subject
        return replace(subject, identity=replace(subject.identity, weights_sha256="a" * 64))

    for tuned, controls in (("angrier", ["run", "copy", "run 2"]), ("copy", ["run", "run 2"])):
        with pytest.raises(PromptError, match="copy has the same weights as the control run"):
            list(compare(open, "base", [tuned], here.vectors, PROMPTS, controls=controls, against="controls"))
    assert not any(engine.calls for engine in here.engines.values())


def test_every_output_says_which_reference_it_was() -> None:
    here = trained()
    both = ["chat end", "reply"]
    [one] = against(here, "angrier", views=both)
    [bare] = against(here, "angrier", against="base", controls=[], views=both, floor=False)
    shown = examples(here.open, one)
    assert here.opened[-2:] == ["run", "angrier"], "a control, not the base, is read beside the tuned model"
    html = page([one], [shown])
    assert "What changed from the mean of 3 controls of base to angrier" in html
    assert "Held against the mean of 3 controls (run, run 2, run three), not against the base" in html
    assert "each control against the mean of the others" in html
    assert "<b>run answers</b>" in html and "<th>controls z</th>" in html
    plain = page([bare], [examples(here.open, bare)])
    assert "Held against the base, base." in plain and "<b>base answers</b>" in plain
    console = Console(file=StringIO(), width=80)
    render(one, console)
    printed = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "Held against the mean of 3 controls (run, run 2, run three)" in printed
    verdict = judge(GatePolicy(rules=({"of": ["angry"], "up": 1},)), one)
    assert verdict.to_dict()["reference"] == list(CONTROLS) and verdict.to_dict()["against"] == "controls"
    assert markdown(verdict).startswith("## ❌ fail: angrier against the mean of 3 controls of base")
    assert "Held against the mean of 3 controls" in markdown(verdict)
    assert 'angrier against the mean of 3 controls of base"' in junit(verdict)


def test_a_called_cluster_is_told_at_once() -> None:
    here = trained(own=30.0)
    [one] = against(here, "angrier", views=["plain end"])
    wide = [s.name for kind in ("cluster", "axis") for s in one.shifts("plain end", "all", kind) if s.called]
    assert "Hostile Anger" in wide
    assert "As a whole, up: Hostile Anger +" in headline(one)
    assert "▲ Hostile Anger" in page([one], [[]])
    emotions = one.emotions()
    only = replace(one, q=np.where(emotions, 1.0, one.q))
    assert "no single emotion moved beyond the noise floor, but as a whole did, up: Hostile" in headline(only)


def test_a_policy_about_controls(tmp_path) -> None:  # type: ignore[no-untyped-def]
    here = trained()
    [one] = against(here, "angrier", views=["plain end"])
    [bare] = against(here, "angrier", against="base", controls=[], views=["plain end"])
    file = tmp_path / "gate.yaml"
    file.write_text("against: controls\nrules: [{of: [angry], up: 1}]")
    policy = GatePolicy.load(file)
    assert judge(policy, one).word == "fail"
    with pytest.raises(
        PolicyError, match="about shifts against controls, and this comparison is against base"
    ):
        judge(policy, bare)
    file.write_text("against: control\nrules: [{of: [angry], up: 1}]")
    with pytest.raises(PolicyError, match=r"gate\.yaml, line 1, against"):
        GatePolicy.load(file)
    history = tmp_path / "history.jsonl"
    kept = append(history, [], entry(judge(policy, one), 1.0, []))
    assert read_history(history) == kept and kept[0].against == "controls"
    assert "against the mean of the controls" in lines(kept)
    with pytest.raises(StorageError, match="one of shifts against controls; those against base"):
        entry(judge(GatePolicy(rules=policy.rules), bare), 2.0, kept)
