"""Effects of steering that are planted in a small network are found, and those that are not are not."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from affekt.concepts import emotions
from affekt.quality.figure import Figure
from affekt.quality.naming import DISPLAY
from affekt.quality.section import Section
from affekt.studies import Lab, causal, drift
from affekt.vectors.directions import unit
from tests.models import tiny
from tests.studies.small import vectors_of


def named(strength: float) -> Lab:
    """A network whose head reads each display emotion's direction as the letters of its own word."""
    model = copy.deepcopy(tiny("qwen2"))
    vectors = vectors_of(model, concepts=tuple(c for c in emotions() if c.name in DISPLAY))
    head = model.network.get_output_embeddings().weight
    with torch.no_grad():
        for name in DISPLAY:
            own = vectors.index(name)
            along = unit(sum(vectors.directions(layer)[own] for layer in vectors.steer_layers))
            ids = model.tokenizer(f" {name}", add_special_tokens=False)["input_ids"]
            head[sorted(set(ids))] += strength * along
    return Lab(model, vectors)


def verdicts(lab: Lab) -> dict[str, str]:
    return {check.what: check.verdict for check in causal.causal(lab).checks}


def test_words_that_steering_raises_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(causal.RANDOM, "quick", 3)
    monkeypatch.setattr(causal, "freely", lambda *_: ("", [], causal.unjudged("free replies", "", "", "")))
    found, none = verdicts(named(4.0)), verdicts(named(0.0))
    beyond = [what for what in found if "beyond" in what]
    assert len(beyond) == 4
    assert {found[what] for what in beyond} == {"reproduced"}
    assert "reproduced" not in {none[what] for what in beyond if "random" in what}


def test_a_word_that_only_falls_less_than_others_is_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(causal.RANDOM, "quick", 2)
    monkeypatch.setattr(causal, "freely", lambda *_: ("", [], causal.unjudged("free replies", "", "", "")))
    plain = causal.naming

    def fallen(*asked: object, **more: object) -> Section:
        section = plain(*asked, **more)  # type: ignore[arg-type]
        rows = tuple((row[0], Figure(-1.6, -3.7, 0.4, 12, "words"), *row[2:]) for row in section.rows)
        return replace(section, rows=rows)

    monkeypatch.setattr(causal, "naming", fallen)
    found = verdicts(named(4.0))
    assert {verdict for what, verdict in found.items() if "beyond" in what} == {"partly"}


def test_the_dial_s_own_dose_is_what_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are of the dose that leaves this model's text whole, whatever else is tried beside it."""
    here = named(4.0)
    doses = torch.tensor([0.1, 0.2, 0.3]).repeat(len(here.vectors.names) // 3 + 1)[: len(here.vectors.names)]
    dialled = replace(here, vectors=replace(here.vectors, doses=doses))
    assert dialled.dose == 0.2
    assert replace(here, vectors=replace(here.vectors, doses=doses * torch.nan)).dose == 0.3
    monkeypatch.setitem(causal.RANDOM, "quick", 2)
    monkeypatch.setitem(causal.DOSES, "quick", (0.5, 0.2))
    monkeypatch.setattr(causal, "freely", lambda *_: ("", [], causal.unjudged("free replies", "", "", "")))
    result = causal.causal(dialled)
    tables = {table.name: table.columns for table in result.tables}
    assert list(tables["summary, He feels"]["dose"]) == ["0.5", "0.2"]
    assert set(tables["changes, He feels"]["dose"]) == {0.2}
    assert any("0.2" in note and "dial" in note for note in result.notes)


@pytest.mark.parametrize(("norm", "verdict"), [(40.0, "reproduced"), (1e-6, "not reproduced")])
def test_coherence_falls_where_steering_reaches_the_text(
    norm: float, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doses are in residual norms: of none, steering changes nothing; of many, the text is gone."""
    monkeypatch.setitem(drift.DOSES, "quick", (0.001, 1.0))
    monkeypatch.setattr(drift, "TOKENS", 6)
    here = named(0.0)
    vectors = replace(here.vectors, norms=torch.full_like(here.vectors.norms, norm))
    [check] = drift.drift(replace(here, vectors=vectors)).checks
    assert check.verdict == verdict, check.here
