"""The comparison, on models of whose difference everything is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from affekt.audit import compare
from affekt.audit.comparison import Comparison
from affekt.audit.keep import Keep
from affekt.audit.measure import Writing
from affekt.audit.subject import Subject
from affekt.audit.wording import meaning
from affekt.errors import AffektError, ModelError, PromptError, UnknownConcept, VectorsError
from tests.audit.planted import PROMPTS, World, along, world

BRIEF = Writing(tokens=4)


def compared(here: World, *tuned: str, **options: object) -> list[Comparison]:
    options = {"writing": BRIEF, **options}
    return list(compare(here.open, "base", tuned, here.vectors, PROMPTS, **options))  # type: ignore[arg-type]


def test_a_planted_shift_is_found_and_nothing_else() -> None:
    here = world({"sadder": along("sad", 3.0)}, noise=0.02)
    [one] = compared(here, "sadder")
    assert one.views == ("plain end", "chat end", "reply") and one.groups[-1] == "all"
    for view in ("plain end", "chat end"):
        shift = one.at(view, "all", "sad")
        assert abs(shift.shift - 3.0) < 0.1 and shift.called and shift.units > 1 and shift.n == len(PROMPTS)
        called = [other.name for other in one.shifts(view) if other.called]
        assert called == ["sad"]
        assert one.at(view, "neutral", "sad").called
    assert one.at("chat end", "all", "valence").shift < 0
    assert [carrier.name for carrier in one.carriers if carrier.view == "chat end"][:3] == ["sad"] * 3
    assert one.size_by_layer.shape == (3, 2) and np.allclose(np.diagonal(one.layer_agreement[0]), 1)


def test_a_model_against_itself_has_not_moved() -> None:
    here = world({"copy": lambda vectors: along("sad", 0.0)(vectors)})
    [one] = compared(here, "copy")
    assert not np.nan_to_num(one.shift).any()
    assert not any(shift.called for view in one.views for shift in one.shifts(view))
    assert one.likeness("chat end", "all") == pytest.approx(1)
    assert np.allclose(one.norm_ratio, 1)


def test_noise_between_runs_is_not_called() -> None:
    here = world({"other run": lambda vectors: along("sad", 0.0)(vectors)}, noise=0.3)
    [one] = compared(here, "other run")
    called = [
        shift
        for view in one.views
        for group in one.groups
        for shift in one.shifts(view, group)
        if shift.called
    ]
    looked = len(one.views) * len(one.groups) * 45
    assert len(called) / looked < 0.05


def test_a_control_raises_the_floor() -> None:
    here = world(
        {"sadder": along("sad", 3.0), "control": along("sad", 3.2), "angrier": along("angry", 3.0)},
        noise=0.02,
    )
    [one, two] = compared(here, "sadder", "angrier", controls=["control"])
    assert not one.at("chat end", "all", "sad").called
    assert one.at("chat end", "all", "sad").floor >= 3.0
    assert two.at("chat end", "all", "angry").called
    assert "control control" in one.arms["chat end"]
    [bare] = compared(here, "sadder", floor=False)
    assert bare.arms == dict.fromkeys(bare.views, ()) and not bare.floor.any()
    assert bare.at("chat end", "all", "sad").units == np.inf


def test_the_floor_is_made_of_the_bases_own_noise() -> None:
    here = world({"sadder": along("sad", 3.0)})
    [one] = compared(here, "sadder")
    assert one.arms["chat end"] == ("other words", "bfloat16", "int8")
    assert one.arms["reply"] == ("another seed", "other words", "bfloat16", "int8")
    assert "base@int8" in here.opened and "base@bfloat16" in here.opened and "base@float32" not in here.opened
    [greedy] = compared(here, "sadder", writing=replace(BRIEF, temperature=0.0))
    assert "another seed" not in greedy.arms["reply"]


def test_what_was_measured_is_kept(tmp_path: Path) -> None:
    here, keep = world({"sadder": along("sad", 3.0)}), Keep(tmp_path)
    [one] = compared(here, "sadder", keep=keep)
    before = {name: list(engine.calls) for name, engine in here.engines.items()}
    assert before["base"]
    [two] = compared(here, "sadder", keep=keep)
    assert not any(engine.calls for engine in here.engines.values())
    assert np.array_equal(one.shift, two.shift, equal_nan=True) and one.pairs == two.pairs
    damaged = sorted(tmp_path.glob("*.safetensors"))[0]
    damaged.write_bytes(damaged.read_bytes()[:50])
    [three] = compared(here, "sadder", keep=keep)
    assert np.array_equal(one.shift, three.shift, equal_nan=True)
    compared(here, "sadder", keep=keep, writing=replace(BRIEF, tokens=5))
    assert any("generate" in engine.calls for engine in here.engines.values())


def test_every_stage_is_told_from_its_beginning() -> None:
    here = world({"sadder": along("sad", 3.0)})
    told: list[tuple[str, int, int]] = []
    compared(here, "sadder", floor=False, progress=lambda *now: told.append(now))
    stages = dict.fromkeys(stage for stage, _, _ in told)
    for stage in stages:
        done = [(done, total) for name, done, total in told if name == stage]
        assert done[0][0] == 0 and done[-1][0] == done[-1][1] == len(PROMPTS)
    assert len(stages) == 2 * 2


def test_directions_are_told_from_activations() -> None:
    here = world({"sadder": along("sad", 3.0)}, noise=0.01)
    [one] = compared(here, "sadder", directions=True, views=["plain end"], floor=False)
    moved = one.directions
    assert moved is not None and moved.texts == 171
    assert min(moved.cosine.values()) > 0.95 and moved.agreement["plain end"] > 0.99
    assert one.views == ("plain end",) and not one.pairs
    [said] = [text for text in meaning(one) if "directions themselves" in text]
    assert said.endswith(
        "r = 1.00 (plain end): the tuned model's own vectors say the same: activations moved, not directions."
    )
    turned = replace(moved, agreement={"plain end": 0.3}, cosine={**moved.cosine, "calm": 0.1, "sad": 0.2})
    [said] = [text for text in meaning(replace(one, directions=turned)) if "directions themselves" in text]
    assert "least calm 0.10, sad 0.20, " in said and "directions have moved as well" in said


def test_models_that_do_not_go_together() -> None:
    here = world({"sadder": along("sad", 3.0)})
    with pytest.raises(PromptError, match=r"nothing to compare"):
        compared(here)
    with pytest.raises(PromptError, match=r"unknown view 'replies'; did you mean 'reply'"):
        compared(here, "sadder", views=["replies"])
    stranger = replace(here.vectors.provenance.model, name="third", weights_sha256="f" * 64)
    third = replace(here.vectors.provenance, model=stranger)
    with pytest.raises(VectorsError, match=r"extracted from third .* neither the base nor a tuned model"):
        list(compare(here.open, "base", ["sadder"], replace(here.vectors, provenance=third), PROMPTS))

    def open_wide(name: str):  # type: ignore[no-untyped-def]
        subject = here.open(name)
        kind = {"sadder": {"d_model": 128}, "gemma": {"architecture": "GemmaForCausalLM"}}.get(name, {})
        return replace(subject, identity=replace(subject.identity, **kind))

    with pytest.raises(VectorsError, match=r"4 layers of 64.*sadder .*4 layers of 128"):
        list(compare(open_wide, "base", ["sadder"], here.vectors, PROMPTS))
    with pytest.raises(VectorsError, match=r"gemma is a GemmaForCausalLM, the base a Llama"):
        list(compare(open_wide, "base", ["gemma"], here.vectors, PROMPTS))
    assert not any(engine.calls for engine in here.engines.values()), "found before anything was measured"


def test_an_adapter_for_another_base() -> None:
    here = world({"sadder": along("sad", 3.0)})

    def opening(foundation: str):  # type: ignore[no-untyped-def]
        def open(name: str) -> Subject:
            trained_on = "cousin" if name == "sadder" else None
            stands_on = foundation if name == "sadder" else "a"
            return replace(here.open(name), foundation=stands_on, trained_on=trained_on)

        return open

    asked = ("base", ["sadder"], here.vectors, PROMPTS)
    with pytest.raises(ModelError, match=r"sadder is an adapter for another base: .* cousin, not on base"):
        list(compare(opening("b"), *asked))
    [one] = compare(opening("a"), *asked, views=["plain end"], floor=False)
    assert one.at("plain end", "all", "sad").called


def test_a_base_without_a_template() -> None:
    here = world({"sadder": along("sad", 3.0)}, template={"base": None})
    [one] = compared(here, "sadder", floor=False)
    assert one.views == ("plain end", "reply")
    assert any("Human/Assistant form only" in note for note in one.notes)
    with pytest.raises(PromptError, match="'chat end' needs a chat template"):
        compared(here, "sadder", views=["chat end"])
    other = world({"sadder": along("sad", 3.0)}, template={"sadder": "{{ messages[0].content }}"})
    [two] = compared(other, "sadder", floor=False, views=["plain end"])
    assert any("chat templates differ" in note for note in two.notes)


def test_one_change_is_said_only_of_what_has_moved() -> None:
    here = world({"sadder": along("sad", 3.0)}, noise=0.02)
    [one] = compared(here, "sadder", views=["chat end"])
    assert one.agreement("chat end", "neutral", "challenging") > 0.7
    assert "one change of baseline" in meaning(one)[0]
    for groups in (slice(None), slice(0, 1)):
        q = one.q.copy()
        q[:, groups] = 1.0
        assert "says nothing of a change" in meaning(replace(one, q=q))[0]
        assert "one change" not in " ".join(meaning(replace(one, q=q)))


def test_lookups_that_miss() -> None:
    here = world({"sadder": along("sad", 3.0)})
    [one] = compared(here, "sadder", floor=False, views=["plain end"])
    with pytest.raises(UnknownConcept, match="unknown concept 'sadd'; did you mean 'sad'"):
        one.at("plain end", "all", "sadd")
    with pytest.raises(AffektError, match="no group 'neutrl' here; did you mean 'neutral'"):
        one.at("plain end", "neutrl", "sad")
    record = one.to_dict()
    assert len(record["shifts"]) == len(one.groups) * len(one.quantities)
    assert '"NaN"' not in one.to_json() and "Infinity" not in one.to_json()
